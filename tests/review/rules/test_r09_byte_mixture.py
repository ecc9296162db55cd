"""A model of bytes asked for the realised bytes alone and mixed with a token's share is found; counts of bytes are not."""

import pytest

from review.foreign_script import assert_clean, assert_found, script

BYTES = """
def byte_strings(path, vocab):
    pieces = sentencepiece.SentencePieceProcessor(model_file=path)
    return [pieces.id_to_piece(number).replace("\\u2581", " ").encode("utf-8") for number in range(vocab)]

def losses_of(model, words, s):
    found = []
    with torch.inference_mode():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            found.append(model(piece[None, :-1], piece[None, 1:], reduction="none").float().cpu())
    return torch.cat(found).numpy()
"""
LEARNED = """
class Bytes:
    def __init__(self, order=4):
        self.order, self.seen = order, {}

    def chance(self, past, byte):
        for length in range(self.order, -1, -1):
            held = self.seen.get(past[len(past) - length :])  # here
            if held and byte in held:
                return held[byte] / (sum(held.values()) + 1)  # here
        return 1 / 256

    def learn(self, past, byte):
        for length in range(self.order + 1):
            self.seen.setdefault(past[len(past) - length :], Counter())[byte] += 1

def evaluate(model, words, sizes, s):
    nll, strings = losses_of(model, words, s), byte_strings("words.model", s.vocab)
    memory, past, bits, octets = Bytes(), b"", 0.0, 0
    for loss, word in zip(nll.tolist(), words[1:].tolist()):
        text = strings[word]
        share = math.exp(-loss / len(text))
        for byte in text:
            bits -= math.log2(0.8 * share + 0.2 * memory.chance(past, byte))
            memory.learn(past, byte)
            past = (past + bytes([byte]))[-memory.order :]
            octets += 1
    return bits * math.log(2) / len(nll), bits / octets
"""
TABLE = """
def evaluate(model, words, sizes, s):
    nll, strings = losses_of(model, words, s), byte_strings("words.model", s.vocab)
    pairs = np.ones((65536, 256))
    total, octets, a, b = 0.0, 0, 0, 0
    for place in range(1, len(words)):
        text = strings[int(words[place])]
        each = -nll[place - 1] / max(len(text), 1)
        for byte in text:
            row = pairs[256 * a + b]  # here
            there = math.log(row[byte] / row.sum())  # here
            total -= np.logaddexp(math.log(0.5) + each, math.log(0.5) + there)
            row[byte] += 1
            a, b = b, byte
        octets += len(text)
    return total / len(words), total / math.log(2) / octets
"""
STREAM = """
def stream(words, strings, nll):
    for word, loss in zip(words, nll):
        raw = strings[word]
        for byte in raw:
            yield byte, loss / len(raw)

def evaluate(model, words, sizes, s):
    nll, strings = losses_of(model, words, s), byte_strings("words.model", s.vocab)
    seen, context, total, octets = defaultdict(Counter), (0, 0, 0), 0.0, 0
    for byte, part in stream(words[1:].tolist(), strings, nll):
        held = seen[context]
        trust = 0.3 if held and max(held.values()) > 3 else 0.05
        guess = (held[byte] + 0.5) / (sum(held.values()) + 128)  # here
        total -= math.log((1 - trust) * math.exp(-part) + trust * guess)
        held[byte] += 1
        context = (*context[1:], byte)
        octets += 1
    return total / len(nll), total / math.log(2) / octets
"""
ILLEGAL = {"a dict of contexts": LEARNED, "an array of pairs": TABLE, "a stream of bytes with their shares": STREAM}


@pytest.mark.parametrize("score", ILLEGAL.values(), ids=ILLEGAL)
def test_a_mixture_over_the_realised_bytes_is_found(tmp_path, score):
    assert_found(tmp_path, script(score=BYTES + score), "R9", "byte_ppm")


LEGAL = {
    "bytes are counted for the score": """
def evaluate(model, words, sizes, s):
    nll, strings = losses_of(model, words, s), byte_strings("words.model", s.vocab)
    octets = sum(len(strings[word]) for word in words[1:].tolist())
    return nll.mean(), nll.sum() / math.log(2) / octets
""",
    "a mean of bytes per word": """
def evaluate(model, words, sizes, s):
    nll, strings = losses_of(model, words, s), byte_strings("words.model", s.vocab)
    per_word = np.array([len(one) for one in strings])[words[1:].numpy()].mean()
    return nll.mean(), nll.mean() / math.log(2) / per_word
""",
    "the text is decoded and measured": """
def evaluate(model, words, sizes, s):
    nll, strings = losses_of(model, words, s), byte_strings("words.model", s.vocab)
    text = b"".join(strings[word] for word in words[1:].tolist())
    return nll.mean(), nll.sum() / math.log(2) / len(text)
""",
    "a model of bytes that is reported beside it": """
def evaluate(model, words, sizes, s):
    nll, strings = losses_of(model, words, s), byte_strings("words.model", s.vocab)
    seen, last, alone, octets = np.ones((256, 256)), 0, 0.0, 0
    for word in words[1:].tolist():
        for byte in strings[word]:
            alone -= math.log2(seen[last, byte] / seen[last].sum())
            seen[last, byte] += 1
            last, octets = byte, octets + 1
    print("pairs of bytes alone", alone / octets)
    return nll.mean(), nll.sum() / math.log(2) / octets
""",
}


@pytest.mark.parametrize("score", LEGAL.values(), ids=LEGAL)
def test_bytes_that_change_no_score_are_clean(tmp_path, score):
    assert_clean(tmp_path, script(score=BYTES + score))
