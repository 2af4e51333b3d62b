# Doxygen takes every README.md for the main page unless its first heading bears a label: the folder's
# name becomes the label of data/README.md and of the lessons.
FNR == 1 && match(FILENAME, /(data|chapters\/[^\/]+)\/README\.md$/) {
  label = substr(FILENAME, RSTART)
  sub(/\/README\.md$/, "", label)
  gsub(/[^A-Za-z0-9]/, "_", label)
  print $0 " {#" label "}"
  next
}
{ print }
