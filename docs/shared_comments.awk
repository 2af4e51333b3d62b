# Doxygen's input filter: declarations that follow each other without a blank line share the comment
# above the first of them, and so do the names of one declaration ("int a, b;"). It marks such a run
# as a group, on the lines that are there, so that warnings name the right ones; DISTRIBUTE_GROUP_DOC
# does the rest. What has no comment above its run stays undocumented.

function flush_run(    i) {
  if (declarations > 1) {
    sub(/\/\/\//, "/**@{*/ ///", run[1])
    run[lines] = run[lines] " /**@}*/"
  }
  for (i = 1; i <= lines; ++i) print run[i]
  lines = declarations = depth = 0
}

{
  code = $0
  sub(/[ ]*\/\/.*$/, "", code)
  is_comment = $0 ~ /^ *\/\/\/ /
  ends_run = depth == 0 && $0 ~ /^ *($|}|#|\/\/($|[^\/])|(public|private|protected):|(struct|class|enum|union|namespace) )/
}
is_comment && (lines == 0 || declarations > 0) && depth == 0 { flush_run(); run[++lines] = $0; next }
is_comment { run[++lines] = $0; next }
lines == 0 { print; next }
ends_run { flush_run(); print; next }
{
  run[++lines] = $0
  depth += gsub(/{/, "{", code) - gsub(/}/, "}", code)
  if (depth == 0 && code ~ /[;}] *$/) {
    ++declarations
    while (gsub(/<[^<>]*>|{[^{}]*}/, "", code)) continue
    if (code !~ /\(/) declarations += gsub(/,/, "", code)
  }
}
END { flush_run() }
