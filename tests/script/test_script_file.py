"""A script is read in every form and never run."""

import base64
import bz2
import json
import lzma
import zlib

import brotli
import pytest
import zstandard

from mulligan.script.script_file import ScriptFile
from record_folder import source, toy_recipe

LZMA2 = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
CODECS = {
    "lzma.decompress(X)": lzma.compress,
    "lzma.decompress(X,format=3,filters=[{'id':33}])": lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=LZMA2),
    "zlib.decompress(X)": zlib.compress,
    "zlib.decompress(X,-15)": lambda data: zlib.compress(data, 9, -15),
    "bz2.decompress(X)": bz2.compress,
    "brotli.decompress(X)": brotli.compress,
    "zstandard.decompress(X)": zstandard.compress,
}
TEXTS = {
    "base64.b85decode(X)": base64.b85encode,
    "base64.a85decode(X)": base64.a85encode,
    "base64.b64decode(X)": base64.b64encode,
}


def written(tmp_path, data):
    path = tmp_path / "train_gpt.py"
    path.write_bytes(data)
    return ScriptFile.read(path)


def test_a_readable_and_a_minified_script_give_their_recipe(tmp_path):
    recipe = toy_recipe()
    assert written(tmp_path, source(recipe)).recipe == recipe.canonical()
    text = json.dumps(recipe.canonical())
    assert written(tmp_path, f"import json as a\nc={text!r}\nB=a.loads(c)".encode()).recipe == recipe.canonical()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("text", [None, *TEXTS])
def test_a_packed_script_is_unpacked(tmp_path, codec, text):
    packed = CODECS[codec](source(toy_recipe()))
    literal = repr(TEXTS[text](packed).decode()) if text else repr(packed)
    inner = text.replace("X", literal) if text else literal
    found = written(tmp_path, f"import base64,lzma\nexec({codec.replace('X', inner)})".encode())
    assert found.is_packed
    assert found.recipe == toy_recipe().canonical()
    assert found.imported().keys() == {"base64", "lzma", "json", "numpy", "torch", "sentencepiece"}


def test_a_script_packed_twice_is_unpacked_twice(tmp_path):
    once = b"import zlib\nexec(zlib.decompress(" + repr(zlib.compress(source(toy_recipe()))).encode() + b"))"
    twice = b"import zlib\nexec(zlib.decompress(" + repr(zlib.compress(once)).encode() + b"))"
    assert written(tmp_path, twice).recipe == toy_recipe().canonical()


def test_text_that_is_no_code_and_json_that_is_no_recipe_are_passed_over(tmp_path):
    found = written(tmp_path, b'A = "{}"\nB = \'{"data": 1}\'\nC = "x" * 3\nD = "' + b"nothing to see " * 20 + b'"')
    assert (found.recipe, found.is_packed, found.error) == (None, False, None)


def test_a_bomb_stays_small(tmp_path):
    bomb = zlib.compress(b"import a\n" + b"#" * (1 << 24))
    found = written(tmp_path, b"X = " + repr(bomb).encode())
    assert "unpacks (zlib) to more than 8,000,000 bytes; it was not read (line 1)" in found.error


def test_packed_code_that_does_not_parse_is_told(tmp_path):
    packed = zlib.compress(source(toy_recipe()) + b"def f(:\n")
    assert "invalid syntax" in written(tmp_path, b"exec(" + repr(packed).encode() + b")").error
