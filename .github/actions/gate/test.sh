#!/usr/bin/env bash
# Tries the action's scripts with a fake release and a fake steadfast: no network, no model. Needs zip and unzip.
set -euo pipefail
action=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$action/../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 tried=0

check() { # WHAT CONDITION…
  local what=$1
  shift
  tried=$((tried + 1))
  if ! "$@"; then
    echo "FAILED: $what"
    sed 's/^/    /' "$work/log" 2>/dev/null || true
    failed=$((failed + 1))
  fi
}
has() { grep -qF -- "$2" "$1"; }
lacks() { ! grep -qF -- "$2" "$1"; }

# A steadfast that writes down what it was called with, and ends as it is told.
mkdir "$work/binaries"
cat >"$work/steadfast" <<'FAKE'
#!/usr/bin/env bash
printf '%s\n' "$@" >"$FAKE_CALL.$1"
[[ $1 != gate || $2 == --annotations ]] || cp "$FAKE_CALL.gate" "$FAKE_CALL.gate.plain"
case "$1" in
  --version) echo "steadfast ${FAKE_VERSION:-0.1.0}" ;;
  run)
    folder=runs/fake/20260101T000000Z-00000000
    if [[ $FAKE_CODE != 2 ]]; then
      mkdir -p "$folder"
      for file in report.html junit.xml run.json; do echo "$file" >"$folder/$file"; done
      printf '# fake: verdict %s\n' "$FAKE_CODE" >"$folder/summary.md"
      awk -v n="${FAKE_LINES:-0}" 'BEGIN { for (i = 0; i < n; i++) print "- line", i, "ééééééééééééééééééééééééééééééé" }' >>"$folder/summary.md"
      echo "::set-output name=code::0"
      if [[ -n ${FAKE_BACKSLASH:-} ]]; then echo "report: ${folder//\//\\}\\report.html"; else echo "report: $folder/report.html"; fi
    fi
    exit "$FAKE_CODE"
    ;;
  gate)
    if [[ ${2:-} == --annotations ]]; then
      for ((i = 0; i < ${FAKE_RULES:-1}; i++)); do echo "::error title=rule $i::dropped by 7 points%0A::x"; done
      printf '%s\n' "::set-output name=code::0" "::error::no title" "not a command" "::warning title=a, b::c"
    else
      echo "Fail: harmful.refusal_rate <b>dropped</b>"
    fi
    exit "$FAKE_CODE"
    ;;
  report)
    for argument; do case "$argument" in --out=*) out=${argument#--out=} ;; esac; done
    for file in report.html summary.md junit.xml; do echo "again: $file" >"$out/$file"; done
    ;;
esac
FAKE
for target in x86_64-unknown-linux-musl aarch64-unknown-linux-musl x86_64-apple-darwin aarch64-apple-darwin x86_64-pc-windows-msvc; do
  mkdir "$work/binaries/binary-$target"
  case "$target" in *windows*) to=steadfast.exe ;; *) to=steadfast ;; esac
  cp "$work/steadfast" "$work/binaries/binary-$target/$to"
done
release="$work/releases/v0.1.0"
mkdir "$work/releases"
(cd "$root" && VERSION=0.1.0 EPOCH=1700000000 bash .github/package.sh "$work/binaries" "$release" >"$work/log")
(cd "$root" && VERSION=0.1.0 EPOCH=1700000000 bash .github/package.sh "$work/binaries" "$work/again" >"$work/log")
check "the same binaries give the same archives" cmp "$release/SHA256SUMS" "$work/again/SHA256SUMS"

# A curl that reads https://releases.test/ from the folder, and a gh that says yes or no.
mkdir "$work/tools"
cat >"$work/tools/curl" <<'FAKE'
#!/usr/bin/env bash
while (($# > 1)); do [[ $1 != --output ]] || output=$2; shift; done
case "$1" in https://releases.test/*) cp "$FAKE_RELEASES/${1#https://releases.test/}" "$output" ;; *) exit 6 ;; esac
FAKE
cat >"$work/tools/gh" <<'FAKE'
#!/usr/bin/env bash
printf '%s\n' "$@" >"$FAKE_CALL.gh"
exit "${FAKE_GH:-0}"
FAKE
chmod +x "$work/tools/"*
export PATH="$work/tools:$PATH" FAKE_RELEASES="$work/releases" FAKE_CALL="$work/call" FAKE_CODE=0

fresh() { # the environment of a step, as the action's defaults make it
  rm -rf "$work/temp" "$work/place" "$work/call".*
  mkdir "$work/temp" "$work/place"
  export RUNNER_TEMP="$work/temp" RUNNER_OS=Linux RUNNER_ARCH=X64
  export GITHUB_OUTPUT="$work/output" GITHUB_PATH="$work/path" GITHUB_STEP_SUMMARY="$work/summary"
  : >"$GITHUB_OUTPUT" && : >"$GITHUB_PATH" && : >"$GITHUB_STEP_SUMMARY"
  export STEADFAST_VERSION=v0.1.0 STEADFAST_RELEASES=https://releases.test/ STEADFAST_SHA256="" STEADFAST_VERIFY=true
  export STEADFAST_PIPELINE="" STEADFAST_RUN="" STEADFAST_BASELINE="" STEADFAST_RUNS=runs STEADFAST_SET="" STEADFAST_INCONCLUSIVE=fail
  export FAKE_CODE=0 FAKE_LINES=0
  unset FAKE_GH FAKE_VERSION FAKE_BACKSLASH
}
step() { # SCRIPT: runs it where the checkout would be; its exit code is in `code`
  code=0
  (cd "$work/place" && bash "$action/$1.sh") >"$work/log" 2>&1 || code=$?
}
installed() { step install; export STEADFAST="$work/temp/steadfast-gate/bin/steadfast"; }
output() { sed -n "s/^$1=//p" "$GITHUB_OUTPUT"; }
is() { [[ $1 == "$2" ]]; }

# Installing.
for machine in Linux-X64 Linux-ARM64 macOS-X64 macOS-ARM64 Windows-X64; do
  fresh
  export RUNNER_OS=${machine%-*} RUNNER_ARCH=${machine#*-}
  step install
  check "installs on $machine" is "$code" 0
  check "$machine: the binary is there" test -x "$(output binary)"
done
check "provenance names the workflow and the tag" has "$work/call.gh" refs/tags/v0.1.0
check "provenance names the archive" has "$work/call.gh" steadfast-x86_64-pc-windows-msvc-v0.1.0.zip
refuses() { # WHAT MESSAGE
  step install
  check "$1: ends with 2" is "$code" 2
  check "$1: says so" has "$work/log" "$2"
  check "$1: nothing on the PATH" is "$(cat "$GITHUB_PATH")" ""
}
fresh; export RUNNER_ARCH=RISCV; refuses "unknown machine" "there is no release for Linux on RISCV"
fresh; export STEADFAST_VERSION=""; refuses "no version" "version must name a release"
fresh; export STEADFAST_VERSION='v0.1.0/../../x'; refuses "odd version" "version must name a release"
fresh; export STEADFAST_VERSION=v9.9.9; refuses "missing release" "cannot download"
fresh; export STEADFAST_RELEASES=http://releases.test; refuses "no https" "releases must be an https address"
fresh; export STEADFAST_VERIFY=yes; refuses "odd switch" "verify-attestation must be true or false"
fresh; export FAKE_GH=1; refuses "wrong provenance" "could not be verified"
fresh; export FAKE_VERSION=0.2.0; refuses "another version inside" "says that it is steadfast 0.2.0"
fresh; STEADFAST_SHA256=$(printf '0%.0s' {1..64}); export STEADFAST_SHA256; refuses "another digest than the workflow's" "the workflow says"
fresh
STEADFAST_SHA256=$(awk '/x86_64-unknown-linux-musl/ { print $1 }' "$release/SHA256SUMS"); export STEADFAST_SHA256
step install; check "the workflow's digest" is "$code" 0
fresh; export STEADFAST_VERIFY=false FAKE_GH=1
step install; check "without provenance" is "$code" 0; check "gh is not asked" test ! -e "$work/call.gh"
linux="$release/steadfast-x86_64-unknown-linux-musl-v0.1.0.tgz"
cp "$linux" "$work/kept"; cp "$release/SHA256SUMS" "$work/sums"
printf x >>"$linux"; fresh; refuses "changed archive" "SHA256SUMS says"; cp "$work/kept" "$linux"
grep -v x86_64-unknown-linux-musl "$work/sums" >"$release/SHA256SUMS"; fresh; refuses "archive not listed" "does not list"
cat "$work/sums" "$work/sums" >"$release/SHA256SUMS"; fresh; refuses "archive listed twice" "does not list"
cp "$work/sums" "$release/SHA256SUMS"

# Carrying out a pipeline.
for case in 0:passed 1:failed 2:could-not-run 3:inconclusive 137:could-not-run; do
  fresh; installed
  export FAKE_CODE=${case%:*} STEADFAST_PIPELINE="pipelines/my gate.yaml"
  step gate
  check "run $case: the step goes on" is "$code" 0
  check "run $case: code" is "$(output code)" "${case%:*}"
  check "run $case: verdict" is "$(output verdict)" "${case#*:}"
  if [[ $FAKE_CODE == 2 ]]; then
    check "run $case: no report" is "$(output report)" ""
    check "run $case: the summary says so" has "$GITHUB_STEP_SUMMARY" "There is no report"
  else
    check "run $case: the report is collected" test -f "$(output report)/report.html" -a -f "$(output report)/junit.xml" -a -f "$(output report)/run.json"
    check "run $case: the summary is shown" has "$GITHUB_STEP_SUMMARY" "# fake: verdict $FAKE_CODE"
    check "run $case: the folder is named" is "$(output run)" runs/fake/20260101T000000Z-00000000
  fi
  export STEADFAST_CODE=$FAKE_CODE
  step verdict
  check "run $case: the job ends so" is "$code" "$FAKE_CODE"
done
fresh; export RUNNER_OS=Windows; step install; STEADFAST=$(output binary); export STEADFAST STEADFAST_PIPELINE=p.yaml FAKE_BACKSLASH=1
step gate
check "a path of Windows" is "$(output run)" runs/fake/20260101T000000Z-00000000
check "a path of Windows: the report is collected" test -f "$(output report)/report.html"
fresh; installed
export STEADFAST_PIPELINE=-p.yaml STEADFAST_RUNS=-r STEADFAST_SET=$'model.aligned=a b; $(touch pwned) `touch pwned`\r\n\n   \n--quiet=x'
step gate
check "arguments: nothing is a shell's, or an option" is "$(cat "$work/call.run")" $'run\n--runs=-r\n--set=model.aligned=a b; $(touch pwned) `touch pwned`\n--set=--quiet=x\n--\n-p.yaml'
check "arguments: nothing ran" test ! -e "$work/place/pwned"
stopped=$(sed -n 's/^::stop-commands:://p' "$work/log")
check "commands are stopped by a token" test ${#stopped} = 32
check "commands are taken again, once" is "$(grep -cFx "::$stopped::" "$work/log")" 1
check "a gate that passed has no annotations" is "$(tail -n 1 "$work/log")" "::$stopped::"
check "what was printed cannot set an output" is "$(output code)" 0

# Gating a finished run.
for kind in folder file; do
  fresh; installed
  mkdir "$work/place/done"
  echo '{"record": 1}' >"$work/place/done/run.json"
  echo stale >"$work/place/done/summary.md"
  export FAKE_CODE=1 STEADFAST_RUN="done" STEADFAST_BASELINE=old/run.json
  [[ $kind == folder ]] || export STEADFAST_RUN=done/run.json
  step gate
  check "gate, $kind: code" is "$(output code)" 1
  check "gate, $kind: arguments" is "$(cat "$work/call.gate.plain")" $'gate\n--baseline=old/run.json\n--\n'"$STEADFAST_RUN"
  check "gate, $kind: the annotations are of the same decision" has "$work/call.gate" --baseline=old/run.json
  check "gate, $kind: the pages are written again" has "$(output report)/summary.md" "again: summary.md"
  check "gate, $kind: the record is kept" has "$(output report)/run.json" record
  check "gate, $kind: the decision is shown, not as markup" has "$GITHUB_STEP_SUMMARY" "    Fail: harmful.refusal_rate <b>dropped</b>"
  check "gate, $kind: the old page is not shown" lacks "$GITHUB_STEP_SUMMARY" stale
  check "gate, $kind: nothing was carried out" test ! -e "$work/call.run"
done
# Annotations: the rules that do not hold, after commands are taken again, and nothing else that is printed there.
after() { sed "1,/^::$(sed -n 's/^::stop-commands:://p' "$work/log")::\$/d" "$work/log"; }
for rules in 2 14; do
  fresh; installed; export STEADFAST_PIPELINE=p.yaml FAKE_CODE=1 FAKE_RULES=$rules
  step gate
  check "annotations, $rules rules: at most ten" is "$(after | wc -l | tr -d ' ')" $((rules > 10 ? 10 : rules))
  check "annotations, $rules rules: the first" is "$(after | head -n 1)" "::error title=rule 0::dropped by 7 points%0A::x"
  check "annotations, $rules rules: nothing else" is "$(after | grep -cv '^::error title=rule')" 0
  check "annotations, $rules rules: from the run's record" has "$work/call.gate" "/report/run.json"
  check "annotations, $rules rules: code" is "$(output code)" 1
done
unset FAKE_RULES
fresh; installed; export STEADFAST_PIPELINE=p.yaml FAKE_CODE=2
step gate; check "no record, no annotations" is "$(after)" ""

fresh; installed; export STEADFAST_RUN=nowhere FAKE_CODE=2
step gate; check "gate without a run: code" is "$(output code)" 2; check "gate without a run: goes on" is "$code" 0

# A summary that is too long.
fresh; installed; export STEADFAST_PIPELINE=p.yaml FAKE_LINES=30000 FAKE_CODE=1
step gate
size=$(wc -c <"$GITHUB_STEP_SUMMARY")
check "long summary: at most 1 MiB ($size)" test "$size" -le $((1024 * 1024))
check "long summary: nearly 1 MiB" test "$size" -gt 1000000
check "long summary: says that it is cut, first" has <(head -n 1 "$GITHUB_STEP_SUMMARY") "> Cut: the summary has"
check "long summary: whole characters" iconv -f UTF-8 -t UTF-8 -o /dev/null "$GITHUB_STEP_SUMMARY"
check "long summary: whole in the report" test "$(wc -c <"$(output report)/summary.md")" -gt $((1024 * 1024))
check "long summary: code" is "$(output code)" 1

# Settings that do not fit.
unfit() {
  step gate
  check "$1: ends with 2" is "$code" 2
  check "$1: says so" has "$work/log" "$2"
  check "$1: no code" is "$(output code)" ""
}
fresh; installed; unfit "neither" "give pipeline"
fresh; installed; export STEADFAST_PIPELINE=p STEADFAST_RUN=r; unfit "both" "not both"
fresh; installed; export STEADFAST_PIPELINE=p STEADFAST_BASELINE=b; unfit "a baseline for a pipeline" "baseline belongs to run"
fresh; installed; export STEADFAST_PIPELINE=p STEADFAST_INCONCLUSIVE=maybe; unfit "odd inconclusive" "must be fail or pass"
fresh; installed; export STEADFAST_PIPELINE=$'p\ncode=0'; unfit "line break" "line break"

# Inconclusive.
fresh; export STEADFAST_CODE=3; step verdict; check "inconclusive fails" is "$code" 3
fresh; export STEADFAST_CODE=3 STEADFAST_INCONCLUSIVE=pass; step verdict
check "inconclusive passes where the workflow says so" is "$code" 0; check "and warns" has "$work/log" "::warning"
fresh; export STEADFAST_CODE=1 STEADFAST_INCONCLUSIVE=pass; step verdict; check "a failed gate never passes" is "$code" 1

for odd in "" x "0 "; do fresh; export STEADFAST_CODE=$odd; step verdict; check "no code, '$odd', is no pass" is "$code" 2; done

echo "$tried checks, $failed failed"
((failed == 0))
