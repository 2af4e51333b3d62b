# Labels for Doxygen: the README at the root is the main page; the name of its folder becomes the
# label of any other, and its figures are named from the root, where the site has them.
FNR == 1 {
  label = "mainpage"
  if (match(FILENAME, /(data(\/[^\/]+)?|chapters\/[^\/]+)\/README\.md$/)) {
    folder = substr(FILENAME, RSTART)
    sub(/README\.md$/, "", folder)
    label = substr(folder, 1, length(folder) - 1)
    gsub(/[^A-Za-z0-9]/, "_", label)
  }
  title = $0
  if (title ~ /^# [0-9]+\. /) sub(/\. /, " · ", title)  # "3. NF4" would become a list
  print title " {#" label "}"
  next
}
folder != "" { gsub(/\]\(figures\//, "](" folder "figures/") }
{ print }
