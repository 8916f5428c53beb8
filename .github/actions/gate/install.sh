#!/usr/bin/env bash
# Puts the steadfast of one release on the PATH, after its checksum, and where asked its build provenance, was found right.
# Reads only its environment. Ends with 2, as steadfast does, when it cannot. Must run on bash 3.2 (macOS).
set -euo pipefail

stop() {
  printf '::error title=steadfast::%s\n' "$1"
  exit 2
}

version=${STEADFAST_VERSION#v}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || stop "version must name a release, for example v0.1.0"
[[ $STEADFAST_RELEASES =~ ^https://[A-Za-z0-9./_~:@%-]+$ ]] || stop "releases must be an https address"
[[ -z $STEADFAST_SHA256 || $STEADFAST_SHA256 =~ ^[0-9a-f]{64}$ ]] || stop "sha256 must be 64 lower-case hexadecimal digits"
[[ $STEADFAST_VERIFY == true || $STEADFAST_VERIFY == false ]] || stop "verify-attestation must be true or false"

suffix="" format=tgz
case "$RUNNER_OS-$RUNNER_ARCH" in
  Linux-X64) target=x86_64-unknown-linux-musl ;;
  Linux-ARM64) target=aarch64-unknown-linux-musl ;;
  macOS-X64) target=x86_64-apple-darwin ;;
  macOS-ARM64) target=aarch64-apple-darwin ;;
  Windows-X64) target=x86_64-pc-windows-msvc suffix=.exe format=zip ;;
  *) stop "there is no release for $RUNNER_OS on $RUNNER_ARCH" ;;
esac
name="steadfast-$target-v$version"
archive="$name.$format"
from="${STEADFAST_RELEASES%/}/v$version"

here="$RUNNER_TEMP/steadfast-gate"
rm -rf "$here"
mkdir -p "$here/bin"
cd "$here"

fetch() {
  curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --tlsv1.2 \
    --retry 3 --connect-timeout 20 --max-time 300 --output "$1" "$from/$1" || stop "cannot download $from/$1"
}
sum_of() {
  if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

fetch SHA256SUMS
fetch "$archive"
# Exactly one line for exactly this file.
listed=$(tr -d '\r' <SHA256SUMS | awk -v file="$archive" '$2 == file || $2 == "*" file { print $1 }')
[[ $listed =~ ^[0-9a-f]{64}$ ]] || stop "SHA256SUMS does not list $archive once"
found=$(sum_of "$archive")
[[ $found == "$listed" ]] || stop "$archive has sha256 $found, SHA256SUMS says $listed"
[[ -z $STEADFAST_SHA256 || $found == "$STEADFAST_SHA256" ]] || stop "$archive has sha256 $found, the workflow says $STEADFAST_SHA256"

if [[ $STEADFAST_VERIFY == true ]]; then
  command -v gh >/dev/null || stop "gh is not installed, so the build provenance cannot be verified: install it, or set verify-attestation: false"
  gh attestation verify "$archive" --repo steadfast-ft/steadfast \
    --signer-workflow steadfast-ft/steadfast/.github/workflows/release.yml \
    --source-ref "refs/tags/v$version" --deny-self-hosted-runners ||
    stop "the build provenance of $archive could not be verified"
fi

# One member only, whatever else the archive holds.
if [[ $format == zip ]]; then
  unzip -q -j "$archive" "$name/steadfast$suffix" -d bin || stop "$archive holds no $name/steadfast$suffix"
else
  tar -xzf "$archive" -C bin --strip-components 1 "$name/steadfast" || stop "$archive holds no $name/steadfast"
fi
binary="$here/bin/steadfast$suffix"
said=$("$binary" --version) || stop "$archive does not run on this machine"
[[ $said == "steadfast $version" ]] || stop "the archive of $version says that it is $said"

echo "$said ($target, sha256 $found)"
echo "$here/bin" >>"$GITHUB_PATH"
echo "binary=$binary" >>"$GITHUB_OUTPUT"
