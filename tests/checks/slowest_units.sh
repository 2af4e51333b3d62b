#!/usr/bin/env bash
# slowest_units.sh BUILD: prints the ten units that took longest to compile. A unit of common/ is to
# take under 5 s; it fails above 10 s, because machines differ and the other core is busy.
set -euo pipefail
log=$1/.ninja_log
[[ -e $log ]] || { echo "$log: only ninja records how long a unit takes"; exit 1; }

# The one unit each that holds Eigen's product, nlohmann/json and CLI11, so that no other has to.
allowed='core_matmul|core_json|course_command_line'

times=$(awk -F'\t' '$4 ~ /\.o$/ { ms[$4] = $2 - $1 }
                    END { for (unit in ms) printf "%.1f s  %s\n", ms[unit] / 1000, unit }' "$log" |
  sort -rn)
[[ -n $times ]]
sed -n 1,10p <<<"$times"
slow=$(grep '  common/' <<<"$times" | grep -vE "CMakeFiles/($allowed)\.dir" | awk '$1 > 10' || true)
[[ -z $slow ]] || { printf 'above 10 s:\n%s\n' "$slow"; exit 1; }
