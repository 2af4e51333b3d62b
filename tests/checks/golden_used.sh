#!/usr/bin/env bash
# golden_used.sh ROOT BUILD: every golden file is opened by some test, but for those that
# golden_unused.txt names. The suites note what they open in BUILD/golden-opened/.
set -euo pipefail
root=$1 noted=$2/golden-opened

compgen -G "$noted/*" >/dev/null || { echo "$noted: no suite has run in this build"; exit 1; }
opened=$(cat "$noted"/* | sort -u)
mapfile -t patterns < <(grep -vE '^(#|$)' "$root/tests/checks/golden_unused.txt")

bad=0 count=0
while read -r file; do
  count=$((count + 1))
  grep -qxF -- "$file" <<<"$opened" && continue
  for pattern in "${patterns[@]}"; do
    # shellcheck disable=SC2053  # a pattern, on purpose
    [[ $file == $pattern ]] && continue 2
  done
  echo "tests/golden/$file: no test opened it"
  bad=1
done < <(cd "$root/tests/golden" && find . -type f -printf '%P\n' | sort)

for pattern in "${patterns[@]}"; do
  (cd "$root/tests/golden" && compgen -G "$pattern" >/dev/null) && continue
  echo "tests/checks/golden_unused.txt: $pattern names no file"
  bad=1
done
echo "$(wc -l <<<"$opened") of $count golden files were opened"
exit "$bad"
