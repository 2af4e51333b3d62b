#!/usr/bin/env bash
# handout_builds.sh GRADER ROOT: the first exercise's handed-out folder builds and grades on its own. Its
# stubs get no point and its references all; --reset gives the stubs back; a class is graded.
set -euo pipefail
grader=$1 root=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export QLORA_BUILD_DIR=$work/build
fail() { echo "$*"; exit 1; }

for folder in "$root"/chapters/*/exercise; do
  name=${folder%/exercise} name=${name##*/}
  mkdir -p "$work/stubs/$name"
  cp "$folder"/*.cpp "$work/stubs/$name"
done
name=$(find "$work/stubs" -mindepth 1 -printf '%f\n' | grep -E '^[0-9]{2}_' | sort | head -n 1)
[[ -n $name ]] || { echo 'there is no exercise'; exit 0; }
number=$((10#${name%%_*}))
"$grader" handout --chapter "$number" --stubs "$work/stubs" --output "$work/handout"
cd "$work/handout"

# expect CODE command…
expect() {
  local code=$1 got=0
  shift
  "$@" >"$work/log" 2>&1 || got=$?
  cat "$work/log"
  [[ $got == "$code" ]] || fail "$*: exit code $got, expected $code"
}
points() { sed -nE "s/^  \"$1\": ([0-9]+),?\$/\\1/p" "$work/report.json"; }

expect 1 ./course exercise "$number" --json "$work/report.json"
[[ $(points points) == 0 ]] || fail 'a stub got points'
! grep -E '"state": "' "$work/report.json" | grep -v '"todo"' || fail 'a row of a stub is not todo'
expect 4 ./course run

# The references, in the stubs' place.
exercise=chapters/$name/exercise
while read -r file && read -r reference; do
  cp "$root/$reference" "$exercise/$file"
done < <(grep -oE '"(file|reference|oracle)": "[^"]*"' "$exercise/exercise.json" | cut -d '"' -f 4)
expect 0 ./course exercise "$number" --json "$work/report.json"
[[ $(points points) == $(points possible) && $(points points) -gt 0 ]] || fail 'not all points'

# A file that does not compile is MISSING. The others are graded; what they need of it is still to do.
first=$(grep -oE '"file": "[^"]*"' "$exercise/exercise.json" | head -n 1 | cut -d '"' -f 4)
cp "$exercise/$first" "$work/kept"
echo 'int unfinished(' >>"$exercise/$first"
expect 1 ./course exercise "$number" --json "$work/report.json"
awk '/"task":/ { ++task } /"state":/ { missing = /MISSING/; if (missing != (task == 1)) bad = 1; ++n[task] }
     END { exit bad || !n[1] || !n[2] }' "$work/report.json" || fail 'a broken file is not the only one MISSING'
[[ $(points points) -gt 0 ]] || fail 'a broken file took all points'
cp "$work/kept" "$exercise/$first"
expect 0 ./course exercise "$number" --json "$work/report.json"

# A class of two: everything, and nothing at all.
for student in ada bob; do mkdir -p "$work/class/$student/$name/exercise"; done
cp "$exercise"/*.cpp "$work/class/ada/$name/exercise"
cp "$work/stubs/$name"/*.cpp "$work/class/bob/$name/exercise"
expect 0 ./course grade "$work/class" --unsafe --output "$work/grades"
all=$(points possible)
grep -q "^ada,$all,0,$all," "$work/grades/grades.csv" || fail 'ada has not all points'
grep -q "^bob,0,0,$all," "$work/grades/grades.csv" || fail 'bob has points'
grep -q '<td><a href="#s1">ada</a></td>' "$work/grades/grades.html" || fail 'no page'
expect 3 ./course grade "$work/nowhere"

expect 0 ./course exercise "$number" --reset
for stub in "$work/stubs/$name"/*.cpp; do
  cmp "$stub" "$exercise/${stub##*/}"
  [[ -e $exercise/${stub##*/}.mine ]] || fail 'the answer was not kept'
done
