#include "course/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace qlora {
namespace {

TEST(Table, AlignsColumns) {
  Table table({"module", "n"}, "lr");
  table.add({"q_proj", "196,608"});
  table.add({"é", "1"});
  EXPECT_EQ(table.text(),
            "module        n\n"
            "------  -------\n"
            "q_proj  196,608\n"
            "é             1\n");
}

TEST(Table, MissingCellsAreEmptyAndRulesAreLines) {
  Table table({"a", "b"});
  table.add({"1"});
  table.rule();
  table.add({});
  EXPECT_EQ(table.text(), "a  b\n-  -\n1\n-  -\n\n");
  EXPECT_THROW(table.add({"1", "2", "3"}), std::invalid_argument);
  EXPECT_THROW(Table({}), std::invalid_argument);
}

TEST(Table, WrapsTheLastColumnFirst) {
  Table table({"id", "note"});
  table.add({"MM-08", "a range 0..1000 is not symmetric about zero"});
  EXPECT_EQ(table.text(31),
            "id     note\n"
            "-----  ------------------------\n"
            "MM-08  a range 0..1000 is not\n"
            "       symmetric about zero\n");
}

TEST(Table, KeepsWithinTheWidth) {
  Table table({"first", "second", "third"}, "lrl");
  table.add({std::string(90, 'x'), "≤ ≤ ≤ ≤ ≤ ≤ ≤ ≤ ≤ ≤ ≤ ≤", std::string(300, 'y')});
  for (std::size_t width : {9u, 30u, 60u, 100u}) {
    std::istringstream lines(table.text(width));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), width);
  }
  EXPECT_FALSE(table.text(3).empty());  // no room for it at all, and yet it ends
}

TEST(Table, WritesMarkdown) {
  Table table({"a|b", "n"}, "lr");
  table.add({"<x>\ny", "1"});
  table.rule();
  EXPECT_EQ(table.markdown(), "| a\\|b | n |\n|---|---:|\n| &lt;x><br>y | 1 |\n");
}

}  // namespace
}  // namespace qlora
