#!/usr/bin/env bash
# Our engine beside PyTorch on this machine, in pairs, one after another: nothing else may run meanwhile.
#   benches/compare.sh SCRATCH [MODEL_FOLDER GSM8K_JSONL]
#   PARTS="generate avx2" ROUNDS=1 benches/compare.sh …        # some of: steps generate real avx2
# Installs torch, transformers and peft into a virtual environment in SCRATCH. PyTorch runs in each of {as installed, one allocator arena
# that is never given back, that and huge pages} × {f32, f32 with a BLAS that is told that the processor is Intel's (its AVX-512 path,
# which it takes on no other), bf16 autocast}. Prints what ran, as JSON; a reader takes the fastest. `avx2` is the real rows without
# AVX-512 instructions on either side.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$1 model=${2:-} data=${3:-} rounds=${ROUNDS:-3} parts=${PARTS:-steps generate real avx2}
mkdir -p "$scratch"
if [ ! -x "$scratch/venv/bin/python" ]; then
  python3 -m venv "$scratch/venv"
  "$scratch/venv/bin/pip" install --quiet torch transformers peft
fi
echo 'int mkl_serv_intel_cpu_true(void) { return 1; }' >"$scratch/intel.c"
cc -shared -fPIC -o "$scratch/intel.so" "$scratch/intel.c"
built() { # FEATURES…: the program of engine.rs
  cargo bench --bench engine --locked --no-run --message-format json "$@" 2>/dev/null |
    python3 -c 'import json, sys; print(next(made["executable"] for made in map(json.loads, sys.stdin) if made.get("executable") and made["target"]["name"] == "engine"))'
}
wanted() { [[ " $parts " == *" $1 "* ]]; }
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
engine=$(built)
for _ in $(seq "$rounds"); do
  if wanted steps; then
    say 'ours bf16, all weights' "$engine" train --dtype bf16
    say 'ours bf16, density 0.1' "$engine" train --dtype bf16 --density 0.1
    say 'ours bf16, density 0.9' "$engine" train --dtype bf16 --density 0.9
    say 'ours f32, all weights' "$engine" train --dtype f32
    for allocator in stock kept huge; do
      say "torch bf16 autocast, $allocator" peer $allocator stock train --dtype bf16
      say "torch f32, AVX-512, $allocator" peer $allocator intel train --dtype f32
    done
  fi
  if wanted generate; then
    for rows in 16 1; do
      for dtype in bf16 q8_0 f32; do
        say "ours $dtype, generate $rows" "$engine" generate --dtype $dtype --rows $rows
      done
      for allocator in stock kept; do
        say "torch bf16, generate $rows, $allocator" peer $allocator stock generate --dtype bf16 --rows $rows
      done
    done
  fi
done
[ -n "$data" ] || exit 0
[ -e "$scratch/rows.json" ] || "$scratch/venv/bin/python" benches/peer.py tokens --model "$model" --data "$data" --file "$scratch/rows.json"
real=(real --model "$model" --file "$scratch/rows.json")
if wanted real; then
  for _ in $(seq "$rounds"); do
    say 'ours bf16, real rows, density 0.1' "$engine" "${real[@]}" --dtype bf16 --density 0.1
    say 'ours bf16, real rows, all weights' "$engine" "${real[@]}" --dtype bf16
    say 'torch bf16 autocast, real rows' peer kept stock "${real[@]}" --dtype bf16
    say 'torch f32, AVX-512, real rows' peer kept intel "${real[@]}" --dtype f32
  done
fi
if wanted avx2; then
  engine=$(built --no-default-features)
  export ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
  for _ in $(seq "$rounds"); do
    say 'ours f32, real rows, AVX2, density 0.1' "$engine" "${real[@]}" --dtype f32 --density 0.1 --steps 3
    say 'ours f32, real rows, AVX2, all weights' "$engine" "${real[@]}" --dtype f32 --steps 3
    say 'torch f32, real rows, AVX2' peer kept stock "${real[@]}" --dtype f32 --steps 3
    for dtype in f32 q8_0; do
      say "ours $dtype, generate 16, AVX2" "$engine" generate --dtype $dtype
      say "ours $dtype, generate 1, AVX2" "$engine" generate --dtype $dtype --rows 1
    done
    for dtype in f32 bf16; do
      say "torch $dtype, generate 16, AVX2" peer kept stock generate --dtype $dtype
      say "torch $dtype, generate 1, AVX2" peer kept stock generate --dtype $dtype --rows 1
    done
  done
fi
