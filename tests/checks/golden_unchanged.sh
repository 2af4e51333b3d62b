#!/usr/bin/env bash
# golden_unchanged.sh ROOT: tests/golden/ holds what the reference libraries wrote, bit for bit:
# MANIFEST.json is the one that came with it, every file in it has its SHA-256, and no file is new.
set -euo pipefail
cd "$1/tests/golden"

echo "b7b111a8c3d2afb3fa7e9c65d19f5683fb8f4d10e711e2cbaf701ee1fd4c3f0d  MANIFEST.json" |
  sha256sum --check --quiet

sums=$(awk -F'"' '/": \{$/ { name = $2 } $2 == "sha256" { print $4 "  " name }' MANIFEST.json)
sha256sum --check --quiet <<<"$sums"

listed=$( (cut -c 67- <<<"$sums"; printf '%s\n' MANIFEST.json README.md) | sort)
here=$(find . -type f -printf '%P\n' | sort)
diff <(echo "$listed") <(echo "$here") || { echo "< listed in MANIFEST.json, > on disk"; exit 1; }
echo "$(wc -l <<<"$sums") files unchanged"
