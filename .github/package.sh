#!/usr/bin/env bash
# Makes the archives of a release and the list of their sums: the same input gives the same bytes.
#
#   VERSION=0.1.0 EPOCH=1700000000 package.sh BINARIES DIST
#
# BINARIES has a folder binary-TARGET with steadfast, or steadfast.exe, for each target of release.yml.
set -euo pipefail
binaries=$1 dist=$2
umask 022
mkdir "$dist"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for target in x86_64-unknown-linux-musl aarch64-unknown-linux-musl x86_64-apple-darwin aarch64-apple-darwin x86_64-pc-windows-msvc; do
  name="steadfast-$target-v$VERSION"
  program=steadfast
  [[ $target != *windows* ]] || program=steadfast.exe
  mkdir "$work/$name"
  install -m 755 "$binaries/binary-$target/$program" "$work/$name/$program"
  install -m 644 LICENSE README.md CHANGELOG.md "$work/$name"
  find "$work/$name" -exec touch --date "@$EPOCH" {} +
  if [[ $program == *.exe ]]; then
    (cd "$work" && find "$name" -type f | LC_ALL=C sort | TZ=UTC zip -q -X -9 -@ archive.zip)
    mv "$work/archive.zip" "$dist/$name.zip"
  else
    tar --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime "@$EPOCH" --format=ustar --create "$name" |
      gzip -9 -n >"$dist/$name.tgz"
  fi
done
(cd "$dist" && LC_ALL=C sha256sum -- *.tgz *.zip >SHA256SUMS)
cat "$dist/SHA256SUMS"
