#!/usr/bin/env bash
# Ends with steadfast's exit code, and with 2 where there is none.
set -euo pipefail
[[ $STEADFAST_CODE =~ ^[0-9]+$ ]] || STEADFAST_CODE=2
case "$STEADFAST_CODE" in
  0) ;;
  1) echo "::error title=steadfast::A rule of the gate failed; the job's summary says which, and by how much." ;;
  3)
    if [[ $STEADFAST_INCONCLUSIVE == pass ]]; then
      echo "::warning title=steadfast::Inconclusive: too few prompts to decide, or nothing to preserve. Passed, because the workflow says so."
      exit 0
    fi
    echo "::error title=steadfast::Inconclusive: too few prompts to decide, or nothing to preserve; the job's summary says which."
    ;;
  *) echo "::error title=steadfast::Could not run; the log of the steps before says what to do." ;;
esac
exit "$STEADFAST_CODE"
