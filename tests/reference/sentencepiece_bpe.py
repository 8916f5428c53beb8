"""Reference ids of a small SentencePiece BPE model with byte fallback, for the tokenizer that is rebuilt from a GGUF file.

Use:   pip install sentencepiece protobuf; python3 tests/reference/sentencepiece_bpe.py > tests/reference/sentencepiece_bpe.json
Made with sentencepiece 0.2.3. The trainer's options are those of Llama 2 and Mistral: no normalisation, spaces kept.
Types are GGUF's: 1 normal, 2 unknown, 3 control, 4 user-defined, 6 byte.
"""
import io
import json
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

WORDS = """The quick brown fox jumps over the lazy dog. I can't help with that, but I can help you with other things.
What is the capital of France? The capital of France is Paris. Natalia sold clips to 48 of her friends in April, and then she
sold half as many clips in May. How many clips did Natalia sell altogether in April and May? She sold 48 + 24 = 72 clips.
def add(a, b):
    return a + b
A café in Zürich; naïve, déjà vu, señor. aaa aaaa aaaaa aaaaaa banana bananas. there their then them the thesis other
To be or not to be, that is the question: whether it is nobler in the mind to suffer. 2024-12-31 12:00 100% 3.14159
the the the these    those    that this    and and    hand land sand   stand   understand withstand"""

TEXTS = [
    "", " ", "  ", "   ", "Hello world", " Hello world", "  Hello  world ", "the thesis", "The capital of France is Paris.",
    "I can't help with that.", "aaaaaaa aaaaa aaa aa a", "bananabanana", "2024-12-31 12:00", "1234567890", "3.14159 100%",
    "café naïve Zürich déjà vu señor", "cafe\u0301 (decomposed)", "🙂", "a🙂b 👩‍👩‍👧 c", "你好，世界", "日本語 テキスト", "Привет мир",
    "line one\nline two\n\n\tindented\r\n", "\n", "\n the", "def add(a, b):\n    return a + b\n", "    four spaces", "a▁b", "▁the",
    "x\u00a0y\u3000z", "understand withstand      stand", "\u0000\u007f", "<0x0A>", "[INST] help [/INST]", "THE QUICK", "tthhee",
    "nananananana", "  ▁  ", "the" * 12, "ﬁ ½ ２ ①",
]

# Text between special tokens: every piece of text is tokenised for itself, as Llama 2's own code does after <s>.
MIXED = [
    ["<s>", "[INST] Hello [/INST]", "</s>"],
    ["<s>", " leading", "<|end|>", "\nthe next", "<|end|>", "<|end|>", "  "],
    ["What is", "<sep>", "the capital", "<sep>", "🙂"],
    ["<unk>", "the", "</s>", "<s>", "你好"],
]

# Ids that are no encoding of any text: bytes cut inside a character, tokens in the middle.
LOOSE = [[260, 259], [5 + 0xE4, 5 + 0xBD], [5 + 0xF0, 5 + 0x9F, 5 + 0x99, 5 + 0x82, 280], [5 + 0xC3, 270, 5 + 0xA9], [1, 300, 2],
         [5 + 0x0A, 5 + 0x0A, 290]]


def main():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS.split("\n")), model_writer=model, model_type="bpe", vocab_size=400, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=True, split_digits=True,
        allow_whitespace_only_pieces=True, character_coverage=0.99, control_symbols=["<|end|>"], user_defined_symbols=["<sep>"],
        minloglevel=2)
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(sp.vocab_size())

    def kind(i):
        if sp.is_unknown(i):
            return 2
        if sp.is_control(i):
            return 3
        if sp.is_byte(i):
            return 6
        return 4 if sp.id_to_piece(i) == "<sep>" else 1

    special = {sp.id_to_piece(i): i for i in ids if kind(i) in (2, 3, 4)}

    def encode(parts):
        return sum(([special[part]] if part in special else sp.encode(part) for part in parts), [])

    # The same model without a space in front of the text.
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    proto.normalizer_spec.add_dummy_prefix = False
    bare = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    json.dump({
        "tokens": [sp.id_to_piece(i) for i in ids],
        "scores": [sp.get_score(i) for i in ids],
        "types": [kind(i) for i in ids],
        "texts": [{"text": text, "ids": sp.encode(text), "decoded": sp.decode(sp.encode(text))} for text in TEXTS],
        "bare": [{"text": text, "ids": bare.encode(text), "decoded": bare.decode(bare.encode(text))} for text in TEXTS[:12]],
        "mixed": [{"text": "".join(parts), "ids": encode(parts)} for parts in MIXED],
        "loose": [{"ids": ids, "decoded": sp.decode(ids)} for ids in LOOSE],
    }, sys.stdout, ensure_ascii=True, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
