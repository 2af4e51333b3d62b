qlora_folder(NAME text LINKS core quantization lora checkpoint
  UNITS batch.cpp chat.cpp corpus.cpp dataset.cpp examples.cpp packing.cpp price_words.cpp prices.cpp
    product_text.cpp sentencepiece_model.cpp sentencepiece_training.cpp tokenizer.cpp utf8.cpp
  LIBRARIES PkgConfig::SENTENCEPIECE)
