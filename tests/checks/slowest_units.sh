#!/usr/bin/env bash
# slowest_units.sh BUILD [LIMIT]: prints the ten units that took longest to compile. A unit of common/
# is to take under 5 s; the limit is 10 s, because machines differ. On a busy machine all take long: a
# unit above the limit is compiled once more, and judged by its processor time.
set -euo pipefail
cd "$1"
limit=${2:-10}
[[ -e .ninja_log ]] || { echo "$1: only ninja records how long a unit takes"; exit 1; }

# The one unit each that holds Eigen's product, nlohmann/json and CLI11, so that no other has to.
allowed='core_matmul|core_json|course_command_line'

times=$(awk -F'\t' '$4 ~ /\.o$/ { ms[$4] = $2 - $1 }
                    END { for (unit in ms) printf "%.1f s  %s\n", ms[unit] / 1000, unit }' \
  .ninja_log | sort -rn)
[[ -n $times ]]
sed -n 1,10p <<<"$times"

bad=0 TIMEFORMAT=%U
while read -r unit; do
  command=$(ninja -t commands "$unit" | tail -n 1)
  command=${command//" $unit"/" /dev/null"}
  seconds=$({ time CCACHE_DISABLE=1 bash -c "${command//"$unit.d"//dev/null}" &>/dev/null; } 2>&1) ||
    { echo "$unit: could not be compiled again"; bad=1; continue; }
  echo "$unit: $seconds s of processor time"
  [[ ${seconds%.*} -lt $limit ]] || bad=1
done < <(grep '  common/' <<<"$times" | grep -vE "CMakeFiles/($allowed)\.dir" |
  awk -v limit="$limit" '$1 > limit { print $3 }')
exit "$bad"
