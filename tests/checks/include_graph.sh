#!/usr/bin/env bash
# include_graph.sh ROOT: a folder of common/ includes only itself and folders above it; course/
# stands beside them on core/ alone.
set -euo pipefail
cd "$1"

grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' common \
  --include='*.h' --include='*.cpp' --include='*.cu' |
  awk -F: '
    BEGIN {
      split("core quantization lora checkpoint text ops llama training evaluation", order, " ")
      for (i in order) rank[order[i]] = i
      made["provenance_commit.h"]  # the build makes it
    }
    {
      split($1, path, "/"); from = path[2]
      match($0, /"[^"]*"/); name = substr($0, RSTART + 1, RLENGTH - 2)
      split(name, parts, "/"); to = parts[1]
      if (name in made) {
        problem = ""
      } else if (name !~ /\// || !((to in rank) || to == "course")) {
        problem = "is not a path from common/"
      } else if (from == "course") {
        problem = to == "course" || to == "core" ? "" : "course/ stands on core/ alone"
      } else if (!(from in rank)) {
        problem = "the folder " from "/ has no place in the order"
      } else if (to == "course" || rank[to] > rank[from]) {
        problem = from "/ may not include " to "/"
      } else {
        problem = ""
      }
      ++seen
      if (problem != "") { printf "%s:%s: \"%s\": %s\n", $1, $2, name, problem; bad = 1 }
    }
    END { printf "%d includes read\n", seen; exit bad || !seen }'
