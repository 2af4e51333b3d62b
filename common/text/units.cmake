qlora_folder(NAME text LINKS core quantization lora checkpoint
  UNITS added_tokens.cpp batch.cpp byte_alphabet.cpp byte_level_bpe.cpp byte_level_encode.cpp
    byte_level_file.cpp byte_level_tokenizer.cpp byte_level_training.cpp chat.cpp chat_layout.cpp
    corpus.cpp dataset.cpp examples.cpp guanaco.cpp packing.cpp pre_tokenizer.cpp price_words.cpp
    prices.cpp product_text.cpp regex.cpp sentencepiece_model.cpp sentencepiece_tokenizer.cpp
    sentencepiece_training.cpp special_ids.cpp tiktoken_model.cpp tokenize_example.cpp tokenizer.cpp
    tokenizer_json.cpp utf8.cpp
  LIBRARIES PkgConfig::SENTENCEPIECE PkgConfig::PCRE2)
