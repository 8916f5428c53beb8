#!/usr/bin/env bash
# How time and memory of a training step grow: one thing is changed at a time, on a random model of SmolLM2-135M's shape with ten layers.
#   benches/scale.sh
# Prints seconds and peak memory, and the slope of a straight line through logarithms: 1 is proportional.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --bench engine --locked --no-run 2>/dev/null
engine=$(find "${CARGO_TARGET_DIR:-target}/release/deps" -name 'engine-*' -executable -type f -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d' ' -f2)
curve() { # NAME OPTION VALUES… -- MORE
  local name=$1 option=$2 values=()
  shift 2
  while [ "$1" != -- ]; do values+=("$1"); shift; done
  shift
  for value in "${values[@]}"; do
    # Of an option that is given twice, the first counts.
    printf '%s\t%s\t%s\n' "$name" "$value" "$("$engine" train "--$option" "$value" --layers 10 --steps 3 "$@")"
  done
}
{
  curve 'rows of 128 tokens' rows 2 4 8 16 -- --tokens 128 --density 0.1
  curve 'tokens of one row' tokens 256 512 1024 2048 -- --rows 1 --density 0.1
  curve 'layers' layers 5 10 20 40 -- --density 0.1
  curve 'hidden size' hidden 288 576 864 1152 -- --density 0.1
  curve 'density' density 0.1 0.3 0.6 0.9 --
  curve 'threads' threads 1 2 -- --density 0.1
} | python3 -c '
import json, math, sys
curves = {}
for line in sys.stdin:
    name, value, told = line.rstrip("\n").split("\t")
    told = json.loads(told)
    curves.setdefault(name, []).append((float(value), told["median_s"], told["peak_mib"]))
def slope(points):
    x, y = [math.log(a) for a, _ in points], [math.log(b) for _, b in points]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)
print("| what grows | values | seconds a step | slope | peak MiB | slope |\n|---|---|---|---|---|---|")
for name, points in curves.items():
    join = lambda values: ", ".join(values)
    print(f"| {name} | {join([f'"'"'{v:g}'"'"' for v, _, _ in points])} | {join([f'"'"'{s:.2f}'"'"' for _, s, _ in points])} | {slope([(v, s) for v, s, _ in points]):.2f}"
          f" | {join([f'"'"'{m:.0f}'"'"' for _, _, m in points])} | {slope([(v, m) for v, _, m in points]):.2f} |")
'
