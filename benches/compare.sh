#!/usr/bin/env bash
# Our engine beside PyTorch on this machine, in pairs, one after another: nothing else may run meanwhile.
#   benches/compare.sh SCRATCH [MODEL_FOLDER GSM8K_JSONL]
# Installs torch, transformers and peft into a virtual environment in SCRATCH. PyTorch runs in each of {as installed, one allocator arena
# that is never given back, that and huge pages} × {f32, f32 with a BLAS that is told that the processor is Intel's (its AVX-512 path,
# which it takes on no other), bf16 autocast}. Prints what ran, as JSON; a reader takes the fastest.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$1 model=${2:-} data=${3:-} rounds=${ROUNDS:-3}
mkdir -p "$scratch"
if [ ! -x "$scratch/venv/bin/python" ]; then
  python3 -m venv "$scratch/venv"
  "$scratch/venv/bin/pip" install --quiet torch transformers peft
fi
echo 'int mkl_serv_intel_cpu_true(void) { return 1; }' >"$scratch/intel.c"
cc -shared -fPIC -o "$scratch/intel.so" "$scratch/intel.c"
cargo bench --bench engine --locked --no-run 2>/dev/null
engine=$(find "${CARGO_TARGET_DIR:-target}/release/deps" -name 'engine-*' -executable -type f -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d' ' -f2)
kept=glibc.malloc.mmap_threshold=4294967295:glibc.malloc.trim_threshold=17179869184
peer() { # ALLOCATOR BLAS ARGUMENTS…
  local tunables='' preload=''
  case $1 in kept) tunables=$kept ;; huge) tunables=$kept:glibc.malloc.hugetlb=1 ;; esac
  [ "$2" = intel ] && preload=$scratch/intel.so
  shift 2
  GLIBC_TUNABLES=$tunables LD_PRELOAD=$preload "$scratch/venv/bin/python" benches/peer.py "$@" 2>/dev/null
}
say() { # NAME COMMAND…
  local name=$1
  shift
  printf '%s\t%s\n' "$name" "$("$@")"
}
for _ in $(seq "$rounds"); do
  say 'ours bf16, all weights' "$engine" train --dtype bf16
  say 'ours bf16, density 0.1' "$engine" train --dtype bf16 --density 0.1
  say 'ours bf16, density 0.9' "$engine" train --dtype bf16 --density 0.9
  say 'ours f32, all weights' "$engine" train --dtype f32
  for allocator in stock kept huge; do
    say "torch bf16 autocast, $allocator" peer $allocator stock train --dtype bf16
    say "torch f32, AVX-512, $allocator" peer $allocator intel train --dtype f32
  done
  say 'ours bf16, generate 16' "$engine" generate --dtype bf16
  say 'ours f32, generate 16' "$engine" generate --dtype f32
  say 'torch bf16, generate 16' peer stock stock generate --dtype bf16
  say 'torch bf16, generate 16, kept' peer kept stock generate --dtype bf16
  say 'ours bf16, generate 1' "$engine" generate --dtype bf16 --rows 1
  say 'torch bf16, generate 1' peer stock stock generate --dtype bf16 --rows 1
done
[ -n "$data" ] || exit 0
"$scratch/venv/bin/python" benches/peer.py tokens --model "$model" --data "$data" --file "$scratch/rows.json"
for _ in $(seq "$rounds"); do
  say 'ours bf16, real rows, density 0.1' "$engine" real --dtype bf16 --density 0.1 --model "$model" --file "$scratch/rows.json"
  say 'ours bf16, real rows, all weights' "$engine" real --dtype bf16 --model "$model" --file "$scratch/rows.json"
  say 'torch bf16 autocast, real rows' peer kept stock real --dtype bf16 --model "$model" --file "$scratch/rows.json"
done
