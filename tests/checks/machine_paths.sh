#!/usr/bin/env bash
# machine_paths.sh ROOT: no file of the tree names a folder that only its author's machine has.
set -euo pipefail
cd "$1"

pattern='/(work|home|root|Users)/[A-Za-z0-9_.-]|[.][.]/shared|file://'
skip='^(tests/golden/|tests/checks/machine_paths|[.]ci/run$)'

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  files=$(git ls-files --cached --others --exclude-standard)
else
  files=$(find . -path ./build -prune -o -path ./.git -prune -o -type f -print | sed 's|^[.]/||')
fi
[[ -n $files ]]
if grep -vE "$skip" <<<"$files" | tr '\n' '\0' | xargs -0 grep -nIE "$pattern" --; then
  echo "these lines name a folder of one machine"
  exit 1
fi
