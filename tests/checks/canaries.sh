#!/usr/bin/env bash
# canaries.sh: each check of this folder must fail on a small tree with the one mistake that it is
# there for, and name the place; on the same tree without it, it must pass.
set -uo pipefail
checks=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

# expect pass|fail 'what it says' check argument…
expect() {
  local want=$1 says=$2 check=$3 got=pass output
  shift 3
  output=$(bash "$checks/$check.sh" "$@" 2>&1) || got=fail
  [[ $got == "$want" && $output == *"$says"* ]] && return
  printf '%s: %s, expected %s saying "%s":\n%s\n' "$check" "$got" "$want" "$says" "$output"
  bad=1
}

tree=$scratch/tree build=$scratch/build
mkdir -p "$tree"/{common/{core,text,ops/cuda,course},chapters,tests/{checks,golden/a}} \
  "$build/golden-opened"

echo '#include "core/tensor.h"' | tee "$tree"/common/{text/a,course/a}.h >"$tree/common/ops/cuda/a.cu"
expect pass '3 includes read' include_graph "$tree"
printf '\n#include "ops/ops.h"\n' >"$tree/common/text/b.cpp"
expect fail 'common/text/b.cpp:2: "ops/ops.h": text/ may not include ops/' include_graph "$tree"
echo '#include "text/a.h"' >"$tree/common/text/b.cpp"
echo '#include "text/a.h"' >"$tree/common/course/b.cpp"
expect fail 'common/course/b.cpp:1: "text/a.h": course/ stands on core/' include_graph "$tree"
echo '#include "course/a.h"' >"$tree/common/course/b.cpp"
expect pass '5 includes read' include_graph "$tree"
echo '#include "course/a.h"' >"$tree/common/ops/cuda/b.cu"
expect fail 'common/ops/cuda/b.cu:1: "course/a.h": ops/ may not' include_graph "$tree"
echo '#include "b.h"' >"$tree/common/ops/cuda/b.cu"
expect fail '"b.h": is not a path from common/' include_graph "$tree"

yes '//' | head -n 300 >"$tree/common/core/long.h"
expect pass 'files read' file_lengths "$tree"
echo '//' >>"$tree/common/core/long.h"
expect fail 'common/core/long.h:301: has 301 lines' file_lengths "$tree"

expect pass '' machine_paths "$tree"
echo "// see /""home/somebody/notes" >"$tree/common/core/path.h"
expect fail 'common/core/path.h:1:' machine_paths "$tree"

expect fail 'MANIFEST.json' golden_unchanged "$tree"

touch "$tree"/tests/golden/a/{x,y,z}
echo 'a/z' >"$tree/tests/checks/golden_unused.txt"
expect fail 'no suite has run' golden_used "$tree" "$build"
printf 'a/x\n' >"$build/golden-opened/1"
expect fail 'tests/golden/a/y: no test opened it' golden_used "$tree" "$build"
printf 'a/y\n' >"$build/golden-opened/2"
expect pass '2 of 3' golden_used "$tree" "$build"
echo 'b/*' >>"$tree/tests/checks/golden_unused.txt"
expect fail 'b/* names no file' golden_used "$tree" "$build"

# A unit above the limit by the clock is judged by its processor time.
unit=common/CMakeFiles/core_a.dir/core/a.cpp.o
printf '# ninja log v5\n0\t9000\t1\t%s\tf\n' "$unit" >"$build/.ninja_log"
expect pass '9.0 s  common/' slowest_units "$build"
printf '0\t11000\t1\t%s\tf\n' "$unit" >>"$build/.ninja_log"
printf 'rule r\n  command = true\nbuild %s: r\n' "$unit" >"$build/build.ninja"
expect pass "$unit: 0.0" slowest_units "$build"
expect fail "$unit: 0.0" slowest_units "$build" 0
sed -i 's/= true/= false/' "$build/build.ninja"
expect fail "$unit: could not be compiled" slowest_units "$build"

exit "$bad"
