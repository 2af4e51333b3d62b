#!/usr/bin/env bash
# check.sh RUNNER LIST: the mutant runner reports each mutant of the example as it must, and its exit
# code says whether all is well.
set -uo pipefail
runner=$1 list=$2 here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bad=0

# expect CODE UNIT: what it prints on the unit stands in UNIT.txt. A sanitizer has an exit code where
# there was a signal, another compiler has other words: both are left out.
expect() {
  local code=$1 unit=$2 got=0 output
  output=$("$runner" "$list" "$unit" 2>&1) || got=$?
  output=$(sed -E -e "s|$here/||" -e 's/ +(signal|exit code) [0-9]+$//' \
    -e 's/^(  NOT (COMPILED|LINKED) +[^ ]+) .*/\1/' <<<"$output")
  [[ $got == "$code" ]] || { echo "$unit: exit code $got, expected $code"; bad=1; }
  diff "$here/$unit.txt" - <<<"$output" || { echo "$unit: printed that, not $unit.txt"; bad=1; }
}

rm -rf "$(dirname "$list")/outcomes"
expect 0 killed
expect 1 wrong
expect 1 few
# Again: the outcomes are remembered, and the same.
expect 0 killed
"$runner" "$list" nobody 2>/dev/null
[[ $? == 2 ]] || { echo "a unit that is not there: expected exit code 2"; bad=1; }
exit "$bad"
