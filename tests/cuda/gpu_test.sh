#!/usr/bin/env bash
# gpu_test.sh [--no-sanitizer] [--benchmarks]: runs the CUDA tests that lie beside this script, then the
# kernels under compute-sanitizer, then, where asked for, the benchmarks; prints a summary. Exit code 0
# if all passed, 1 if something failed, 4 without a GPU. `./course gpu-test --pack DIR` makes the folder.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sanitize=1 measure=0
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
bad=0
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader

say() { printf '%-28s %s\n' "$1" "$2"; }

"$here/test_cuda" --gtest_color=no >"$log/tests" 2>&1
code=$?
passed=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) tests?.*/\1/p' "$log/tests" | tail -n 1)
skipped=$(grep -cE '^\[  SKIPPED \] [A-Z].*\(' "$log/tests")
failed=$(grep -cE '^\[  FAILED  \] .*\(' "$log/tests")
grep 'QLORA_SEED' "$log/tests" | head -n 1
if ((code)); then
  bad=1
  grep -E -B 12 '^\[  FAILED  \] .*\(' "$log/tests" | head -n 150
  tail -n 5 "$log/tests"
fi
say 'CUDA tests' "${passed:-0} passed, $failed failed, $skipped skipped"

for tool in memcheck racecheck; do
  ((sanitize)) || break
  if ! command -v compute-sanitizer >/dev/null; then
    say "compute-sanitizer" "is not installed: skipped"
    break
  fi
  # GoogleTest's names choose what is quick enough: a kernel runs up to a hundred times longer here.
  # Kernels of this project alone: those of cuBLASLt order their copies in ways that racecheck does not
  # know, and are reported.
  compute-sanitizer --tool "$tool" --kernel-name kns=qlora --error-exitcode 9 "$here/test_cuda" \
    --gtest_filter='-*Real*:*Golden*:*Model*' --gtest_brief=1 >"$log/$tool" 2>&1
  code=$?
  say "$tool" "$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log/$tool" | tail -n 1 | sed 's/^=* *//')"
  if ((code)); then
    bad=1
    grep -m 40 '^=========' "$log/$tool"
  fi
done

if ((measure)); then
  for program in "$here"/bench_cuda*; do
    [[ -x $program ]] && "$program"
  done
fi
((bad)) && say 'GPU tests' failed || say 'GPU tests' 'all passed'
exit "$bad"
