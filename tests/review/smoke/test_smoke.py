"""A submission's network is found, built and run; what the script itself broke is a finding, what is missing here is not."""

import ast
from dataclasses import replace

import pytest

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.smoke.run import judged_error
from mulligan.review.subject import Source
from smoke_submission import MAIN, NETWORK, smoked, write

NO_SCORING = NotChecked("R5", "smoke test: no function is given the network and comes to a loss, so no scoring was run")
HELD_ELSEWHERE = """
class Trainer:
    def __init__(self, settings, net_of):
        self.net = net_of(settings, 3)

def make(chosen, depth, size=8):
    wide = 2 * size
    wide += chosen.size
    with torch.device("cuda"):
        return Net(chosen.tokens, wide, depth)

def start(later, chosen):
    trainer = make(chosen, depth=5)

def main():
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=4)
    given = parser.parse_args()
    given.tokens = 400
    start(None, given)

if __name__ == "__main__":
    main()
"""
ATTENDS = """
from flash_attn_interface import flash_attn_func as attend
import triton
import triton.language as tl


@triton.jit
def fast(x, size: tl.constexpr):
    return x


@torch.compile(dynamic=False)
def twice(x):
    return 2 * x


class Attends(nn.Module):
    def __init__(self, settings):
        super().__init__()
        self.inner = Net(settings.tokens, settings.size, settings.depth).cuda().bfloat16()
        self.start = torch.zeros(1, device="cuda")

    def forward(self, x):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            q = self.inner.table(x).unflatten(-1, (4, 4))
            return twice(attend(q, q[:, :, :2], q[:, :, :2], causal=True)) + self.start.cuda()


if __name__ == "__main__":
    torch.cuda.set_device(0)
    network = Attends(Settings())
"""


def test_the_network_that_main_makes_is_built_and_run(tmp_path):
    subject = write(tmp_path / "folder", NETWORK + MAIN)
    result = smoked(subject)
    if result:
        found, said = result
        assert found == [NO_SCORING]
        assert said.pop("import_seconds") >= 0
        assert said.pop("output") == []
        num_bytes = (tmp_path / "folder" / "train_gpt.py").stat().st_size
        shape = {
            "vocabulary": 300,
            "width": 16,
            "layers": 3,
            "applied": 3,
            "positions": 64,
            "called": "forward",
            "finite": True,
        }
        size = {"parameters": 300 * 16 + 3 * (16 * 16 + 16), "code_bytes": num_bytes, "files": ["train_gpt.py"]}
        assert said == {**shape, **size, "network": "Net", "stand_ins": []}


def test_arguments_are_followed_through_callers(tmp_path):
    result = smoked(write(tmp_path / "folder", NETWORK + HELD_ELSEWHERE))
    if result:
        found, said = result
        assert found == [NO_SCORING]
        assert (said["vocabulary"], said["width"], said["layers"]) == (400, 20, 5)


def test_what_a_gpu_would_do_is_stood_in_for(tmp_path):
    result = smoked(write(tmp_path / "folder", NETWORK + ATTENDS))
    if result:
        found, said = result
        assert found == [NO_SCORING]
        assert said["output"] == [1, 64, 4, 4]
        assert said["stand_ins"] == ["triton"]
        assert said["network"] == "Attends"


def test_the_bytes_of_helpers_that_are_read_are_told(tmp_path):
    text = "import torch\nfrom parts import Net, Settings\nexec(open('more.py').read())\n" + MAIN
    more = "more = 3"
    result = smoked(write(tmp_path / "folder", text, parts_dot_py=NETWORK, more_dot_py=more, not_read_dot_py="x = 1"))
    if result:
        found, said = result
        assert found == [NO_SCORING]
        assert said["files"] == ["more.py", "parts.py", "train_gpt.py"]
        assert said["code_bytes"] == len(text) + len(NETWORK) + len(more)


def test_a_module_that_nobody_has_is_the_script_s_own_fault(tmp_path):
    result = smoked(write(tmp_path / "folder", "import torch, mamba_ssm, rarely_seen\nimport nowhere_to_be_found",
                          requirements_dot_txt="# all\nrarely-seen>=1\n"))  # fmt: skip
    if result:
        ((found,), said) = result
        message = (
            "smoke test: import: ModuleNotFoundError: No module named 'nowhere_to_be_found'; no file of the folder, and not "
        )
        expected = Finding("R12", "broken_script", "violation", "train_gpt.py", 2, message + "named in requirements.txt")
        assert found == expected
        assert said == {}


@pytest.mark.parametrize(
    ("step", "error", "line"),
    [
        ("import", {"type": "ModuleNotFoundError", "missing": "nowhere.inner", "file": "a.py", "line": 3}, 3),
        ("import", {"type": "ModuleNotFoundError", "missing": "tomllib", "file": "a.py", "line": 3}, None),
        ("import", {"type": "ModuleNotFoundError", "missing": "known.inner", "file": "a.py", "line": 3}, None),
        ("import", {"type": "ModuleNotFoundError", "missing": "nowhere", "file": "", "line": None}, None),
        ("import", {"type": "NameError", "missing": None, "file": "a.py", "line": 4}, 4),
        ("forward", {"type": "NameError", "missing": None, "file": "a.py", "line": 4}, None),
        ("import", {"type": "SyntaxError", "missing": None, "file": "helper.py", "line": 5}, 5),
        ("import", {"type": "FileNotFoundError", "missing": None, "file": "a.py", "line": 6}, None),
    ],
)
def test_what_is_broken_and_what_is_only_missing_here(step, error, line):
    found = judged_error(step, {"message": "why", **error}, "train_gpt.py", ["known"])
    if line is None:
        assert isinstance(found, NotChecked)
        assert f"smoke test: {step}: {error['type']}: why" in found.reason
    else:
        assert isinstance(found, Finding)
        assert (found.file, found.line, found.severity) == (error["file"], line, "violation")


def test_a_script_that_a_later_python_reads_is_not_broken(monkeypatch):
    error = {"type": "SyntaxError", "message": "f-string: unmatched", "missing": None, "file": "train_gpt.py", "line": 5}
    monkeypatch.setattr("sys.version_info", (3, 11))
    assert isinstance(judged_error("import", error, "train_gpt.py", []), NotChecked)
    monkeypatch.setattr("sys.version_info", (3, 12))
    assert isinstance(judged_error("import", error, "train_gpt.py", []), Finding)


FOUND_LATE = """
def main():
    from parts import run
    run()

if __name__ == "__main__":
    main()
"""
LATE = """
MARK = None

class Marked(Net):
    def forward(self, x, y):
        raise ValueError("needs a GPU")

    def logits(self, x, y):
        raise ValueError("takes more")

    def scores(self, x):
        return Net.logits(self, x) + (x != MARK).to(torch.float32)[..., None]

    def size(self, x):
        return x.float()

def run():
    global MARK
    MARK = 7
    net = Marked(Settings.tokens, Settings.size, 2)
"""


def test_a_network_that_is_made_in_a_helper_is_found_and_run_by_the_method_that_works(tmp_path):
    subject = write(tmp_path / "folder", FOUND_LATE, parts_dot_py=NETWORK + LATE)
    parts = Source("parts.py", 0, NETWORK + LATE, ast.parse(NETWORK + LATE))
    result = smoked(replace(subject, sources=(*subject.sources, parts)))
    if result:
        found, said = result
        assert found == [NO_SCORING]
        assert (said["network"], said["called"], said["output"]) == ("Marked", "scores", [1, 64, 300])
        assert said["files"] == ["parts.py", "train_gpt.py"]
