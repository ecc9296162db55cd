"""A script is read with the files beside it that it reaches, and with nothing that lies outside of its folder."""

import base64
import lzma
import os
import time
import zlib

import pytest

from mulligan.script.disk import plain_files, read_bytes
from mulligan.script.read import read_script
from mulligan.script.source import UnreadError

PACKED = zlib.compress(b"import helper\nprint('a text of some length, as code has')\nx = helper.y + 1\n")


def lay(folder, **files):
    """Write files; `__` in a name is a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def reached(folder):
    return list(dict.fromkeys(source.file for source in read_script(folder).sources))


@pytest.mark.parametrize(
    "line",
    [
        "import helper",
        "from helper import *",
        "from .helper import f",
        "from . import helper",
        "if x:\n    from helper import f",
        "m = importlib.import_module('helper')",
        "m = __import__('helper')",
        "runpy.run_path('helper.py')",
        "runpy.run_module('helper')",
        "subprocess.run([sys.executable, 'helper.py', '-q'])",
        "os.system('torchrun --standalone helper.py')",
        "exec(open(__file__.replace('train_gpt.py', 'helper.py')).read())",
        "s = importlib.util.spec_from_file_location('h', Path(__file__).parent / 'helper.py')",
        "t = open(f'{here}/helper.py').read()",
        f"exec(zlib.decompress({PACKED!r}))",
        "exec('import helper')",
        "exec('import ' + 'helper')",
        "name = 'from helper import f'\nexec(name)",
    ],
)
def test_a_helper_is_followed_however_it_is_named(tmp_path, line):
    lay(tmp_path, train_gpt_dot_py=f"import os\n{line}\n", helper_dot_py="import further\n", further_dot_py="", other_dot_py="")
    assert reached(tmp_path) == ["train_gpt.py", "helper.py", "further.py"]


@pytest.mark.parametrize("line", ["import os", "x = 'see helper.py for more'", '"""helper.py"""', "import helpers"])
def test_what_is_only_spoken_of_is_not_followed(tmp_path, line):
    lay(tmp_path, train_gpt_dot_py=f"{line}\n", helper_dot_py="")
    assert reached(tmp_path) == ["train_gpt.py"]


def test_files_of_a_package_come_in_the_order_in_which_they_are_reached(tmp_path):
    (tmp_path / "model").mkdir()
    lay(
        tmp_path,
        train_gpt_dot_py="import model.block\nfrom tools import measure\nsys.path.insert(0, here / 'lib')\nimport deep\n",
        model__base_dot_py="from ..top import x\n",
        model__block_dot_py="from . import base\n",
        tools__measure_dot_py="",
        tools__unused_dot_py="",
        lib__deep_dot_py="",
        top_dot_py="",
    )
    (tmp_path / "model" / "__init__.py").write_text("from .base import Base\n")
    assert reached(tmp_path) == [
        "train_gpt.py",
        "model/__init__.py",
        "model/block.py",
        "tools/measure.py",
        "lib/deep.py",
        "model/base.py",
        "top.py",
    ]


@pytest.mark.parametrize(
    ("names", "entries"),
    [
        (["train_gpt.py", "train_gpt_b.py"], ["train_gpt.py"]),
        (["run.py"], ["run.py"]),
        (["run.py", "train_gpt_b.py"], ["train_gpt_b.py"]),
        (["train_gpt_b.py", "train_gpt_a.py"], ["train_gpt_a.py", "train_gpt_b.py"]),
        (["model.py", "run.py"], ["run.py"]),
        (["code/run.py"], ["code/run.py"]),
        ([], []),
    ],
)
def test_the_entry_is_chosen(tmp_path, names, entries):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("import model\n" if name == "run.py" else "x = 1\n")
    found = read_script(tmp_path)
    assert found.entry == (entries[0] if entries else "")
    assert [source.file for source in found.sources][: len(entries)] == entries
    assert [problem.message[:9] for problem in found.problems] == ([] if entries else ["no script"])


def test_one_that_another_imports_is_no_entry(tmp_path):
    lay(tmp_path, train_gpt_a_dot_py="x = 1\n", train_gpt_b_dot_py="import train_gpt_a\n", broken_dot_py="x = (\n")
    found = read_script(tmp_path)
    assert (found.entry, found.problems) == ("train_gpt_b.py", ())
    assert [source.file for source in found.sources] == ["train_gpt_b.py", "train_gpt_a.py"]


def test_a_script_may_be_named_itself(tmp_path):
    lay(tmp_path, train_gpt_dot_py="x = (\n", other_dot_py="import helper\n", helper_dot_py="")
    found = read_script(tmp_path / "other.py")
    assert (found.folder, found.entry, found.problems) == (tmp_path.resolve(), "other.py", ())
    assert [source.file for source in found.sources] == ["other.py", "helper.py"]


@pytest.mark.parametrize("pack", [lzma.compress, lambda data: base64.b85encode(zlib.compress(data)), bytes])
def test_a_file_that_holds_packed_code_is_read(tmp_path, pack):
    data = pack(b"import helper\ny = 2\n")
    lay(tmp_path, train_gpt_dot_py="exec(unpack(open('code.bin', 'rb').read()))\n", code_dot_bin=data, helper_dot_py="z = 1\n")
    found = read_script(tmp_path)
    assert [(source.file, source.text) for source in found.sources][1:] == [
        ("code.bin", "import helper\ny = 2\n"),
        ("helper.py", "z = 1\n"),
    ]
    lay(tmp_path, train_gpt_dot_py="weights = read('code.bin')\n")
    assert reached(tmp_path) == ["train_gpt.py"]


def test_a_data_file_is_no_problem(tmp_path):
    lay(
        tmp_path,
        train_gpt_dot_py="exec(f('notes.txt'))\nw = 'model.bin'\n",
        notes_dot_txt="import it, they said\n",
        model_dot_bin=b"\0\1" * 99,
    )
    assert (reached(tmp_path), read_script(tmp_path).problems) == (["train_gpt.py"], ())


def test_links_out_pipes_and_devices_are_told_and_never_opened(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside.py"
    lay(
        folder,
        train_gpt_dot_py="import away\nimport pipe\nimport device\nimport lost\nimport here\nimport kin.inside\n",
        real_dot_py="x = 1\n",
    )
    outside.write_text("secret = 1\n")
    (tmp_path / "kin").mkdir()
    (tmp_path / "kin" / "inside.py").write_text("secret = 2\n")
    (folder / "away.py").symlink_to(outside)
    (folder / "device.py").symlink_to("/dev/zero")
    (folder / "lost.py").symlink_to("nowhere")
    (folder / "here.py").symlink_to("real.py")
    (folder / "kin").symlink_to(tmp_path / "kin")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe.py")
    found = read_script(folder)
    assert [source.file for source in found.sources] == ["train_gpt.py", "here.py"]
    reasons = {problem.file: problem.message for problem in found.problems}
    out = "a link out of the folder; it was not followed"
    assert reasons.keys() == {"away.py", "device.py", "lost.py", "pipe.py", "loop", "kin", "kin/inside.py"}
    assert [reasons[name] for name in ("away.py", "device.py", "kin", "kin/inside.py")] == [out] * 4
    assert "no plain file" in reasons["pipe.py"]
    assert [path.name for path in plain_files(folder)[0]] == ["here.py", "real.py", "train_gpt.py"]


def test_an_entry_that_is_a_link_out_or_a_folder_is_told(tmp_path):
    (tmp_path / "other.py").write_text("x = 1\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train_gpt.py").symlink_to("../other.py")
    found = read_script(folder)
    assert (found.sources, [problem.file for problem in found.problems]) == ((), ["train_gpt.py"])
    (folder / "train_gpt.py").unlink()
    (folder / "train_gpt.py").mkdir()
    assert "no script" in read_script(folder).problems[0].message
    with pytest.raises(OSError, match="nowhere"):
        read_script(tmp_path / "nowhere")


def test_a_file_that_is_too_large_or_gone_is_told(tmp_path):
    lay(tmp_path, train_gpt_dot_py="import large\nimport fine\n", large_dot_py=b"#" * 8_000_001, fine_dot_py="")
    found = read_script(tmp_path)
    assert [(problem.file, problem.message) for problem in found.problems] == [
        ("large.py", "more than 8,000,000 bytes; it was not read")
    ]
    assert reached(tmp_path) == ["train_gpt.py", "fine.py"]
    with pytest.raises(UnreadError, match="cannot be read"):
        read_bytes(tmp_path / "gone.py", tmp_path, 9)


def test_a_crowd_of_files_ends_the_reading(tmp_path):
    lay(tmp_path, train_gpt_dot_py="".join(f"import m{number}\n" for number in range(150)))
    for number in range(150):
        (tmp_path / f"m{number}.py").write_text("x = 1\n")
    found = read_script(tmp_path)
    assert len(found.sources) == 100
    assert [problem.message for problem in found.problems] == ["reading ended here: more than 100 texts in all"]


def test_nothing_is_executed(tmp_path):
    lay(
        tmp_path,
        train_gpt_dot_py="import helper\nopen('mark', 'w')\nimport shutil\nshutil.rmtree('.')\n",
        helper_dot_py="1 / 0\n",
    )
    assert len(read_script(tmp_path).sources) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["helper.py", "train_gpt.py"]


def test_a_script_that_asks_for_much_is_read_in_seconds(tmp_path):
    bomb = base64.b85encode(zlib.compress(b"import a\n" + b"#" * 7_000_000)).decode()
    lines = [f"x{number} = {bomb!r}\n" for number in range(12)] + [
        "import " + ", ".join(f"m{n}.a.b" for n in range(20_000)),
        "\n",
    ]
    lay(tmp_path, train_gpt_dot_py="".join(lines))
    began = time.process_time()
    assert read_script(tmp_path).problems
    assert time.process_time() - began < 10
