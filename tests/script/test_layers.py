"""What is packed in a script is found in whatever form it is packed, with line numbers of its own."""

import base64
import bz2
import gzip
import lzma
import random
import zlib

import pytest

from mulligan.script.layers import MOST_LAYERS, layers_of
from mulligan.script.unpack import BOUNDS, Budget

INNER = "import math\n\ndef area(radius):\n    return math.pi * radius * radius\n\nprint(area(3))\n"


def texts(script):
    layers, problems = layers_of("train_gpt.py", script, Budget())
    return [layer.source.text for layer in layers], [(found.line, found.message) for found in problems]


def z85(data):
    usual = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    other = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    return base64.b85encode(data).decode().translate(str.maketrans(usual, other))


WRAPS = {
    "gzip": lambda data: repr(gzip.compress(data)),
    "lzma alone": lambda data: repr(lzma.compress(data, lzma.FORMAT_ALONE)),
    "base 16": lambda data: repr(zlib.compress(data).hex()),
    "base 32": lambda data: repr(base64.b32encode(bz2.compress(data))),
    "base 64 for URLs": lambda data: repr(base64.urlsafe_b64encode(zlib.compress(data)).decode()),
    "base 64 in lines": lambda data: f'"""\n{base64.encodebytes(zlib.compress(data)).decode()}"""',
    "Adobe's base 85": lambda data: repr(base64.a85encode(zlib.compress(data), adobe=True).decode()),
    "ZeroMQ's base 85": lambda data: repr(z85(zlib.compress(data))),
    "only base 64": lambda data: repr(base64.b64encode(data).decode()),
    "two codecs": lambda data: repr(base64.b85encode(zlib.compress(lzma.compress(data))).decode()),
    "plain": lambda data: repr(data.decode()),
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_literal_is_unpacked_by_every_codec(wrap):
    script = f"exec(X({WRAPS[wrap](INNER.encode())}))\n"
    assert texts(script) == ([script, INNER], [])


def test_raw_lzma_is_read_with_the_filters_that_the_script_names():
    chain = [{"id": lzma.FILTER_DELTA, "dist": 3}, {"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2, "pb": 1, "dict_size": 65535}]
    packed = lzma.compress(INNER.encode(), lzma.FORMAT_RAW, filters=chain)
    named = "[{'id': L.FILTER_DELTA, 'dist': 3}, {'id': L.FILTER_LZMA1, 'lc': 0, 'lp': 2, 'pb': 1, 'dict_size': 1 | 65535}]"
    script = f"import lzma as L\nF = {named}\nexec(L.decompress({packed!r}, L.FORMAT_RAW, filters="
    assert texts(f"{script}F))\n")[0][1:] == [INNER]
    assert texts(f"{script}None))\n")[0][1:] == []


def pieces(text, count=3):
    size = len(text) // count + 1
    return [text[at : at + size] for at in range(0, len(text), size)]


def test_a_literal_in_pieces_is_put_together():
    packed = base64.b85encode(zlib.compress(INNER.encode() * 3)).decode()
    a, b, c = pieces(packed)
    unpack = "exec(zlib.decompress(b85decode({})))\n"
    for script in (
        unpack.format(f"{a!r} + {b!r} + {c!r}"),
        unpack.format(f"''.join([{a!r}, {b!r}, {c!r}])"),
        f"p = {a!r}\nq = {b!r}\n" + unpack.format(f"p + q + {c!r}"),
        f"p = {a!r}\np += {b!r}\np += {c!r}\n" + unpack.format("p"),
        f"p = {a!r}\nq = {b!r}\n" + unpack.format(f"f'{{p}}{{q}}' + {c!r}"),
        unpack.format(f"{packed[::-1]!r}[::-1]"),
        unpack.format(f"{packed.replace('A', ' , ')!r}.replace(' , ', 'A')"),
        unpack.format(f"bytes({list(packed.encode())})"),
    ):
        assert texts(script)[0][1:] == [INNER * 3], script[:60]
    assert texts(f"p = {a!r}\np = {b!r}\np += {c!r}\n" + unpack.format("p"))[0][1:] == []


def test_several_files_in_one_text_are_read_apart():
    whole = zlib.compress(f"{INNER}# ---- next\nvoid f() {{ return 'x; }}\n# ---- next\nimport os\nx = 1\n".encode())
    script = f"parts = zlib.decompress({whole!r}).decode().split('# ---- next\\n')\nexec(parts[0])\n"
    assert texts(script) == ([script, INNER, "import os\nx = 1\n"], [])


def test_a_line_of_a_layer_is_that_of_its_own_text():
    packed = zlib.compress((INNER + "def broken(:\n").encode())
    found = texts(f"x = 1\nexec(zlib.decompress({packed!r}))\n")[1]
    assert found == [(7, "does not parse: invalid syntax (layer 1, unpacked)")]


def test_what_is_executed_and_not_understood_is_a_problem():
    odd = random.Random(0).randbytes(600)
    assert texts(f"y = 1\nexec(mine({odd!r}))\n")[1] == [
        (2, "packed in a way that is not known, and line 2 executes; it was not read")
    ]
    assert texts(f"y = 1\nweights = mine({odd!r})\n")[1] == []


def wrapped(times):
    text = INNER
    for _ in range(times):
        text = f"import zlib\nexec(zlib.decompress(b85decode({base64.b85encode(zlib.compress(text.encode())).decode()!r})))\n"
    return text


def test_layers_end():
    assert len(texts(wrapped(MOST_LAYERS))[0]) == MOST_LAYERS + 1
    found, problems = texts(wrapped(MOST_LAYERS + 1))
    assert len(found) == MOST_LAYERS + 1
    assert problems == [(2, f"packed more than {MOST_LAYERS} times over; not read further (layer {MOST_LAYERS}, unpacked)")]


def test_many_small_bombs_end_the_reading():
    def bomb(number):
        return base64.b85encode(zlib.compress(f"import m{number}\n".encode() + b"#" * 7_500_000)).decode()

    problems = texts("".join(f"x = {bomb(number)!r}\n" for number in range(10)))[1]
    assert problems == [(9, f"reading ended here: more than {BOUNDS['unpacked'][0]:,} bytes unpacked in all")]


def test_text_that_grows_as_it_is_put_together_ends_the_reading():
    grown = "".join(f"a{number + 1} = a{number} + a{number}\n" for number in range(60))
    assert "characters put together" in texts(f"a0 = {'q' * 1_000_000!r}\nexec(1)\n{grown}")[1][0][1]
    assert texts(f"exec({'q' * 10_000!r}.replace('q', {'w' * 10_000!r}))\n")[0] != []


def test_a_tree_that_is_too_deep_to_walk_is_a_problem():
    assert texts("y = 1\nx = " + "not " * 100 + "1\n") == (["y = 1\nx = " + "not " * 100 + "1\n"], [])
    assert texts("y = 1\nx = " + "not " * 200 + "1\n") == ([], [(2, "nested more than 150 deep; it was not read")])
