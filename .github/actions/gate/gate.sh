#!/usr/bin/env bash
# Runs `steadfast run` or `steadfast gate`, collects the report, and writes the job's summary. Steadfast's own exit code becomes
# the output `code`; this script itself ends with 2 only when it cannot get that far. Must run on bash 3.2 (macOS).
set -euo pipefail

stop() {
  printf '::error title=steadfast::%s\n' "$1"
  exit 2
}

# GitHub takes 1 MiB of summary from a step, and nothing of a longer one.
limit=$((1024 * 1024 - 1024))

# Appends a file to the summary, whole lines only, with a note before it where it had to be cut.
summarise() {
  local file=$1 size room note
  size=$(wc -c <"$file")
  room=$((limit - $(wc -c <"$GITHUB_STEP_SUMMARY")))
  if ((size <= room)); then
    cat "$file" >>"$GITHUB_STEP_SUMMARY"
    return
  fi
  note="> Cut: the summary has $((size)) bytes, a job shows 1 MiB. The whole of it is in the report."
  printf '%s\n\n' "$note" >>"$GITHUB_STEP_SUMMARY"
  room=$((room - ${#note} - 2))
  ((room > 0)) || return 0
  head -c "$room" "$file" | sed '$d' >>"$GITHUB_STEP_SUMMARY"
}

for value in "$STEADFAST_PIPELINE" "$STEADFAST_RUN" "$STEADFAST_BASELINE" "$STEADFAST_RUNS"; do
  [[ $value != *$'\n'* ]] || stop "a path has a line break"
done
[[ $STEADFAST_INCONCLUSIVE == fail || $STEADFAST_INCONCLUSIVE == pass ]] || stop "inconclusive must be fail or pass"
[[ -n $STEADFAST_PIPELINE || -n $STEADFAST_RUN ]] || stop "give pipeline (to carry it out) or run (to gate a finished run)"
[[ -z $STEADFAST_PIPELINE || -z $STEADFAST_RUN ]] || stop "give pipeline or run, not both"
[[ -z $STEADFAST_BASELINE || -n $STEADFAST_RUN ]] || stop "baseline belongs to run"
[[ -n $STEADFAST_RUNS ]] || stop "runs must name a folder"

work="$RUNNER_TEMP/steadfast-gate"
report="$work/report"
rm -rf "$report"
mkdir -p "$report"
said="$work/said.txt"
summary="$work/summary.md"
: >"$summary"

if [[ -n $STEADFAST_PIPELINE ]]; then
  arguments=(run "--runs=$STEADFAST_RUNS")
  while IFS= read -r line; do
    line=${line%$'\r'}
    [[ -z ${line//[[:space:]]/} ]] || arguments+=("--set=$line")
  done <<<"$STEADFAST_SET"
  arguments+=(-- "$STEADFAST_PIPELINE")
else
  arguments=(gate)
  [[ -z $STEADFAST_BASELINE ]] || arguments+=("--baseline=$STEADFAST_BASELINE")
  arguments+=(-- "$STEADFAST_RUN")
fi

# What steadfast prints may quote names and data of others: none of it may be taken for a command to the runner.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$token"
taken=no
take() { [[ $taken == yes ]] || echo "::$token::"; taken=yes; }
trap take EXIT
set +e
"$STEADFAST" "${arguments[@]}" | tee "$said"
code=${PIPESTATUS[0]}
set -e

# The report of a run that was carried out stands in its folder, which the last line names. A finished run may come without its
# pages, or with pages that do not fit its run.json: they are written again from it.
run=""
if [[ -n $STEADFAST_PIPELINE ]]; then
  page=$(sed -n 's/^report: //p' "$said" | tail -n 1 | tr -d '\r')
  [[ $RUNNER_OS != Windows ]] || page=${page//\\//}
  if [[ -n $page ]]; then
    run=$(dirname "$page")
    for file in report.html summary.md junit.xml run.json; do
      [[ ! -f $run/$file ]] || cp "$run/$file" "$report/$file"
    done
  fi
elif [[ $code != 2 ]]; then
  record=$STEADFAST_RUN
  [[ ! -d $record ]] || record="$record/run.json"
  run=$(dirname "$record")
  cp "$record" "$report/run.json"
  "$STEADFAST" report "--out=$report" -- "$STEADFAST_RUN" >/dev/null || echo "the report could not be written again" >&2
fi
[[ -n $(ls -A "$report") ]] || report=""

# The rules that do not hold, at the top of the job. Only lines that are such a command are passed on, and no more than a step shows;
# steadfast escapes what stands in them.
annotations="$work/annotations.txt"
: >"$annotations"
if [[ $code != 0 && -f $report/run.json ]]; then
  decide=(gate --annotations)
  [[ -z $STEADFAST_BASELINE ]] || decide+=("--baseline=$STEADFAST_BASELINE")
  "$STEADFAST" "${decide[@]}" -- "$report/run.json" >"$annotations" || true
fi
take
LC_ALL=C grep -E '^::(error|warning) title=[^:,]*::' "$annotations" | head -n 10 || true

case "$code" in
  0) verdict=passed ;;
  1) verdict=failed ;;
  3) verdict=inconclusive ;;
  *) verdict=could-not-run ;;
esac
if [[ -n $STEADFAST_RUN && -s $said ]]; then
  against=""
  [[ -z $STEADFAST_BASELINE ]] || against=" against a baseline"
  # Indented, so that nothing in it is markup.
  {
    printf '## steadfast: the gate, decided again%s: %s\n\n' "$against" "$verdict"
    sed 's/^/    /' "$said"
    printf '\n'
  } >>"$summary"
fi
if [[ -n $report && -f $report/summary.md ]]; then
  cat "$report/summary.md" >>"$summary"
elif [[ ! -s $summary ]]; then
  printf '## steadfast: %s\n\nThere is no report. The log of this step says what stopped it, and what to do.\n' "$verdict" >>"$summary"
fi
summarise "$summary"

{
  echo "code=$code"
  echo "verdict=$verdict"
  echo "run=$run"
  echo "report=$report"
} >>"$GITHUB_OUTPUT"
