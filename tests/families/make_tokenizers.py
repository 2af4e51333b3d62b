#!/usr/bin/env python3
"""Small tokenizers of the shapes that the families have, and what their libraries make of texts.

  python3 make_tokenizers.py     (tokenizers 0.23.3, sentencepiece 0.2.3)

Each folder tokenizers/SHAPE/ gets tokenizer.json or tokenizer.model, tokenizer_config.json, and
vectors.json: of each text the ids (with what the tokenizer puts before it) and what they decode to
without special tokens. Vocabularies are trained on the text below; the parts around them are those
of the published tokenizer.json (HuggingFaceTB/SmolLM2-135M, deepseek-ai/deepseek-coder-1.3b-base),
and for Gemma the options of its SentencePiece model. `prefix_space` is GPT-2's shape with the space
that RoBERTa's tokenizers put before a text, behind Digits that stay together.
"""

import io
import json
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

HERE = Path(__file__).parent / "tokenizers"

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind; it's 12 o'clock.",
    "def area(width, height):\n    return width * height  # in square metres\n",
    "for (int i = 0; i < 1024; ++i) { sum += values[i]; }\n\treturn sum;\n",
    "How much does this cost to the nearest dollar? A brown leather chair. Price is $249.00",
    "Über den Wolken muß die Freiheit wohl grenzenlos sein. Où est la bibliothèque?",
    "天地玄黄 宇宙洪荒 日月盈昃 辰宿列张", "Привет, мир! Как дела?", "return the values in the order of the area",
] * 4

TEXTS = [
    "", " ", "a", "Hello world", " Hello  world ", "12345", "in 1999 and 2024.", "3.14159e-10",
    "x²+y³=½ and ٣٤٥ and Ⅷ", "don't we'll they've I'm he'd you're", "DON'T",
    "def f(x):\n    return x * 10\n", "\n\n\n", "a\r\nb\r\n", "\t\ttabs and   spaces\t",
    "天地玄黄宇宙", "混合 mixed 文字 text", "Über naïve café", "Привет, мир!", "🙂🙃 e\u0301 \u00a0 \u2003 x",
    "for (int i = 0; i < 10; ++i) {}", "a_b.c-d/e\\f@g#h", "   leading", "trailing   ",
    "<|endoftext|>", "one<|endoftext|>two", "<|im_start|>user\nhi<|im_end|>", "õ÷Á plain",
    "<｜begin▁of▁sentence｜>x<|EOT|>", "the the the\u3000the", "\u0000\u0001\u007f", "ﬁ ligature ㎏",
]


def trained(tokenizer, size, special):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def smollm2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    trained(t, 380, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"])
    return t, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def deepseek_coder():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([])
    isolated = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+"]
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in isolated] +
        [pre_tokenizers.Digits(individual_digits=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    trained(t, 380, [])
    begin, end = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
    t.add_tokens([AddedToken(c, normalized=True, special=False) for c in "õ÷Á"])
    t.add_tokens([AddedToken(begin, special=True), AddedToken(end, special=True),
                  AddedToken("<|EOT|>", normalized=True, special=False)])
    t.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B",
        special_tokens=[(begin, t.token_to_id(begin))])
    return t, {"bos_token": {"__type": "AddedToken", "content": begin}, "eos_token": {"content": end}}


def prefix_space():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)])
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    t.decoder = decoders.ByteLevel()
    trained(t, 380, ["<|endoftext|>"])
    return t, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def write(shape, config, vectors):
    folder = HERE / shape
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False) + "\n")
    lines = ",\n".join(json.dumps(v, ensure_ascii=False) for v in vectors)
    (folder / "vectors.json").write_text(f"[\n{lines}\n]\n")


def gemma():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in CORPUS for line in text.split("\n") if line),
        model_writer=model, model_type="bpe", vocab_size=420, byte_fallback=True,
        add_dummy_prefix=False, remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, normalization_rule_name="identity",
        character_coverage=0.98, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>",
        eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
        user_defined_symbols=["<mask>", "<2mass>", "\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁▁"],
        minloglevel=2)
    folder = HERE / "gemma"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vectors = []
    for text in TEXTS + ["<mask>x<2mass>", "a\n\nb\n\n\n\nc", "    indented\n        more"]:
        ids = sp.encode(text)
        vectors.append({"text": text, "ids": [sp.bos_id()] + ids, "decoded": sp.decode(ids)})
    write("gemma", {"bos_token": "<bos>", "eos_token": "<eos>"}, vectors)


if __name__ == "__main__":
    for make in (smollm2, deepseek_coder, prefix_space):
        tokenizer, config = make()
        folder = HERE / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(tokenizer.to_str())
        vectors = []
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            vectors.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
        write(make.__name__, config, vectors)
    gemma()
