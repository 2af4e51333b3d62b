#include "figures.h"

#include "course/svg.h"
#include "measurements.h"

namespace qlora::chapter07 {

void draw(const std::string& folder) {
  const Vocabularies vocabularies = embedded_vocabularies();

  LineChart compression;
  compression.title = "A vocabulary fits the text it was learned from";
  compression.x_label = "tokens in the vocabulary";
  compression.y_label = "bytes a token";
  const std::vector<Compression> sizes = compression_by_size(vocabularies);
  Series prices{"price items (held out)", {}, {}}, prose{"Genesis 1:1-4", {}, {}};
  for (const Compression& c : sizes) {
    for (Series* series : {&prices, &prose}) series->x.push_back(static_cast<double>(c.vocab_size));
    prices.y.push_back(c.prices);
    prose.y.push_back(c.prose);
  }
  compression.series = {prices, prose};
  write_svg(folder + "/compression.svg", compression);

  BarChart texts;
  texts.title = "How much text one token carries";
  texts.y_label = "bytes a token";
  BarSeries sentencepiece{"SentencePiece, 2,048 tokens", {}}, byte_level{"byte level, 1,024", {}};
  for (const TextCount& row : text_counts(vocabularies)) {
    texts.groups.push_back(row.name);
    const auto bytes = static_cast<double>(row.bytes);
    sentencepiece.values.push_back(bytes / static_cast<double>(row.sentencepiece));
    byte_level.values.push_back(bytes / static_cast<double>(row.byte_level));
  }
  texts.series = {sentencepiece, byte_level};
  write_svg(folder + "/texts.svg", texts);

  BarChart padding;
  padding.title = "What a batch of 16 price items is made of";
  padding.y_label = "% of the positions that are padding";
  BarSeries share{"padding", {}};
  for (const Layout& layout : layouts(vocabularies)) {
    padding.groups.push_back(layout.name);
    share.values.push_back(100.0 * layout.padding());
  }
  padding.series = {share};
  write_svg(folder + "/padding.svg", padding);
}

}  // namespace qlora::chapter07
