#!/usr/bin/env bash
# gpu_test.sh [--no-sanitizer] [--benchmarks]: runs the CUDA tests that lie beside this script, then the
# programs themselves (programs.sh), then the kernels under compute-sanitizer, then, where asked for, the
# benchmarks; prints a line for each with its seconds. What takes longer than QLORA_STAGE_SECONDS (300)
# has failed. Exit code 0 if all passed, 1 if something failed, 4 without a GPU. `./course gpu-test --pack
# DIR` makes the folder.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sanitize=1 measure=0 limit=${QLORA_STAGE_SECONDS:-300}
for option; do
  case $option in
    --no-sanitizer) sanitize=0 ;;
    --benchmarks) measure=1 ;;
    *) echo "gpu_test.sh: there is no option $option" >&2; exit 2 ;;
  esac
done
nvidia-smi -L 2>/dev/null | grep -q '^GPU' ||
  { echo "gpu-test: there is no GPU here; ./course gpu-test --pack DIR makes a folder that runs where one is" >&2
    exit 4; }
export QLORA_ROOT=$here PATH=$PATH:/usr/local/cuda/bin
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
bad=0 code=0 seconds=0
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader

say() { printf '%-28s %5s s  %s\n' "$1" "$seconds" "$2"; }

# stage LOG COMMAND…: its output in a file, its exit code in `code`, how long it took in `seconds`.
stage() {
  local output=$1 start=$SECONDS
  shift
  timeout --kill-after=10 "$limit" "$@" >"$output" 2>&1
  code=$? seconds=$((SECONDS - start))
  ((code == 0)) || bad=1
}

# What a stage came to: that it did not end and in which test, or else the text.
outcome() {  # LOG TEXT
  ((code == 124 || code == 137)) || { echo "$2"; return; }
  echo "FAILED: did not end in $limit s; $(grep '^\[ RUN' "$1" | tail -n 1 | sed 's/.*\] */it was in /')"
}

# suite LABEL PROGRAM [FILTER]: runs it, shows what failed, and why tests were skipped, each reason once.
suite() {
  local passed skipped failed
  stage "$log/tests" "$here/$2" --gtest_color=no --gtest_filter="${3:-*}"
  passed=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) tests?.*/\1/p' "$log/tests" | tail -n 1)
  skipped=$(grep -cE '^\[  SKIPPED \] [A-Z].*\(' "$log/tests")
  failed=$(grep -cE '^\[  FAILED  \] .*\(' "$log/tests")
  grep 'QLORA_SEED' "$log/tests" | head -n 1
  if ((code)); then
    grep -E -B 12 '^\[  FAILED  \] .*\(' "$log/tests" | head -n 150
    tail -n 5 "$log/tests"
  fi
  grep -A 1 ': Skipped$' "$log/tests" | grep -vE ': Skipped$|^--$' | sort | uniq -c | head -n 5
  say "$1" "$(outcome "$log/tests" "${passed:-0} passed, $failed failed, $skipped skipped")"
}

suite 'CUDA tests' test_cuda
# The suites of the decoder and the trainer, golden files and all, on the GPU in float32; what is of the
# CPU alone (int8 products, float64) stays out.
export QLORA_TEST_DEVICE=cuda
suite 'decoder on the GPU' test_llama 'Models/*:GoldenBf16*:GoldenRope*:GoldenGreedy*:GoldenJson*'
suite 'training on the GPU' test_training 'All/Golden*:GoldenAdapter*:GoldenGradient*:GoldenAccumulation*:Trainer.*'
unset QLORA_TEST_DEVICE

stage "$log/programs" bash "$here/programs.sh"
((code)) && grep -vE '^  ok ' "$log/programs"
say 'programs' "$(outcome "$log/programs" "$( ((code)) && echo 'FAILED: ')$(tail -n 1 "$log/programs")")"

# A kernel runs up to a hundred times longer under a sanitizer: on small sizes, and without the tests that
# run no other kernels than those. Kernels of this project alone, without cuDNN. racecheck looks at shared
# memory, and cannot watch a process in which cuBLASLt launches (its kernels for Hopper end it with "failed
# to handle a hardware exception", whichever kernels it is told to look at): no kernel around a product has
# shared memory but the cross-entropy, which has tests of its own.
slow='*Real*:*Golden*:*Model*:CudaGeneration*:CudaDecoder*:CudaTrainer*'
products='CudaHead*:CudaLinear*:CudaProduct*:CudaDora.Forward*:CudaFamilies*'
for tool in memcheck racecheck; do
  ((sanitize)) || break
  if ! command -v compute-sanitizer >/dev/null; then
    seconds=0 say "compute-sanitizer" "is not installed: skipped"
    break
  fi
  filter=-$slow
  [[ $tool != racecheck ]] || filter+=:$products
  QLORA_TEST_SIZES=small QLORA_CUDNN=none stage "$log/$tool" compute-sanitizer --tool "$tool" --kernel-name kns=qlora \
    --error-exitcode 9 "$here/test_cuda" --gtest_color=no --gtest_filter="$filter"
  found=$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log/$tool" | tail -n 1 | sed 's/^=* *//')
  if ((code)); then
    grep -m 40 '^=========' "$log/$tool"
    grep -E -B 12 '^\[  FAILED  \] .*\(' "$log/$tool" | head -n 50
  elif [[ -z $found ]]; then
    bad=1
  fi
  say "$tool" "$(outcome "$log/$tool" "${found:-FAILED: it has no summary}")"
done

if ((measure)); then
  for program in "$here"/bench_cuda*; do
    [[ -x $program ]] || continue
    stage "$log/benchmark" "$program"
    cat "$log/benchmark"
    say "${program##*/}" "$(outcome "$log/benchmark" "$( ((code)) && echo "FAILED: exit code $code" || echo ended)")"
  done
fi
seconds=$SECONDS
say 'GPU tests' "$( ((bad)) && echo FAILED || echo 'all passed')"
exit "$bad"
