#!/usr/bin/env bash
# readme.sh ROOT BIN: what README.md names is there: the files it links, the verbs of ./course, the
# chapters, their verbs, and every option in a command line. BIN holds the chapter executables.
set -euo pipefail
cd "$1"
bin=$2
bad=0
complain() { echo "README.md: $*"; bad=1; }

while read -r target; do
  [[ -e ${target%%#*} ]] || complain "links $target, which is not there"
done < <(grep -oE '\]\([^)]+\)' README.md | sed -E 's/^\]\((.*)\)$/\1/' | grep -vE '^(https?:|#)')

while read -r lesson; do
  grep -qF "]($lesson)" README.md || complain "does not link $lesson"
done < <(compgen -G 'chapters/[0-9][0-9]_*/README.md')

# has TEXT OPTION: whether a help text has the option, as a whole word.
has() { grep -qE -e "(^|[^a-z-])$2([^a-z-]|\$)" <<<"$1"; }

# Command lines of the fenced blocks, a continued one joined.
commands=$(awk '/^```/ { inside = !inside; next } inside' README.md |
  sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' | grep -E '^(\$ )?\./course' | sed -E 's/^\$ //; s/ +#.*//')
[[ -n $commands ]] || complain "shows no command"
help=$(./course --help)
count=0
while read -r -a words; do
  count=$((count + 1))
  line="${words[*]:0:4}" verb=${words[1]-} number=${words[2]-}
  grep -qE "^ *(usage: )?\./course $verb( |\$)" <<<"$help" || complain "$line: no verb $verb"
  [[ $verb == run && $number =~ ^[0-9]+$ ]] || {
    for word in "${words[@]:2}"; do
      [[ $word != --* ]] || has "$help" "$word" || complain "$line: no option $word"
    done
    continue
  }
  program=$(compgen -G "$bin/ch$(printf %02d "$((10#$number))")_*" || true)
  [[ -n $program ]] || { complain "$line: there is no chapter $number"; continue; }
  tool=${words[3]-}
  [[ $tool != -* ]] || tool=''
  usage=$("$program" ${tool:+"$tool"} --help 2>&1) || complain "$line: no verb $tool"
  for word in "${words[@]:3}"; do
    [[ $word != --* ]] || has "$usage" "${word%%=*}" || complain "$line: no option ${word%%=*}"
  done
done <<<"$commands"
echo "$count commands checked"
exit "$bad"
