"""Odd texts, and SentencePiece models of many kinds trained on them straight by the library."""

import io
import random
from functools import cache

import sentencepiece

ODD_TEXTS = (
    "plain words, and a full stop.",
    "  two  leading and   three inner spaces  ",
    "line one\nline two\n\n\tline four\r\nline five\n",
    "in 1984 there were 007 and 3.14159, 1,000,000 of 12³ ½ Ⅷ",
    "naïve café, Ångström, e\u0301 combined, ﬁne ligature, ＦＵＬＬ width",
    "emoji 🙂👩‍👩‍👧🏳️‍🌈 and flags 🇩🇪 in a row",
    "日本語の文章。中文文本,한국어 텍스트 mixed",
    "العربية עברית ไทย हिन्दी",
    "control \x07 bell, zero\u200bwidth, soft\u00adhyphen, nbsp\u00a0here, \ufeffbom",
    "a▁meta▁space, <s> </s> <unk> <0x41> spelt out",
    "▁at the start",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0001f9ff \U00020000 private \ue000\U000f0000",
    "x",
    "ÿ",
    "<tag>tagged<tag> text",
)


def babble(seed: int, num_documents: int = 60, num_words: int = 120) -> list[str]:
    """Return documents in a made-up language: 200 words, frequent ones first; each seed is another language."""
    draw = random.Random(seed)
    consonants, vowels = draw.sample("bcdfghjklmnpqrstvwxyz", 9), draw.sample("aeiouáéó", 4)
    words = ["".join(draw.choice(consonants) + draw.choice(vowels) for _ in range(draw.randint(1, 4))) for _ in range(200)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return [" ".join(draw.choices(words, weights, k=num_words)) + f" {n}." for n in range(num_documents)]


@cache
def model_bytes(seed: int = 0, vocab_size: int = 400, **settings: object) -> bytes:
    """Return a serialised SentencePiece model, trained straight by the library on babble and odd texts."""
    model = io.BytesIO()
    given = {
        "model_type": "bpe",
        "byte_fallback": True,
        "split_digits": True,
        "add_dummy_prefix": False,
        "normalization_rule_name": "nmt_nfkc",
        "character_coverage": 0.999,
        "hard_vocab_limit": False,
        "pad_id": 0,
        "bos_id": 1,
        "eos_id": 2,
        "unk_id": 3,
        "minloglevel": 2,
        "num_threads": 1,
        **settings,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*babble(seed), *ODD_TEXTS]), model_writer=model, vocab_size=vocab_size, **given
    )
    return model.getvalue()
