# Labels for Doxygen: the README at the root is the main page; the name of its folder becomes the
# label of any other.
FNR == 1 {
  label = "mainpage"
  if (match(FILENAME, /(data(\/[^\/]+)?|chapters\/[^\/]+)\/README\.md$/)) {
    label = substr(FILENAME, RSTART)
    sub(/\/README\.md$/, "", label)
    gsub(/[^A-Za-z0-9]/, "_", label)
  }
  print $0 " {#" label "}"
  next
}
{ print }
