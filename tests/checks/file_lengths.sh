#!/usr/bin/env bash
# file_lengths.sh ROOT: a source file has at most 300 lines, so that it holds one idea.
set -euo pipefail
cd "$1"

allowed=()  # files that may be longer, each with its reason

bad=0 files=0
while IFS= read -r -d '' file; do
  files=$((files + 1))
  lines=$(wc -l <"$file")
  [[ " ${allowed[*]-} " == *" $file "* ]] && continue
  ((lines <= 300)) || { echo "$file:$lines: has $lines lines, 300 at most"; bad=1; }
done < <(find common chapters tests \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) -print0)
echo "$files files read"
((files > 0 && bad == 0))
