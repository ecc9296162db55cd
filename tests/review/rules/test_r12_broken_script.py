"""A script that cannot run is a violation; what may run is none."""

import pytest

from mulligan.review.rules import r12_broken_script
from script_subject import findings, not_checked, subject_of

START = "import torch\ndef main():\n    pass\n"


def found(tmp_path, text, files=None):
    return [(one.severity, one.line, one.message) for one in findings(r12_broken_script, subject_of(tmp_path, text, files))]


def test_text_that_does_not_parse_is_a_violation_with_the_line(tmp_path):
    ((severity, line, _),) = found(tmp_path, "x = 1\ndef f(:\n")
    assert (severity, line) == ("violation", 2)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("import numpy, json, triton, flash_attn_interface\nprint(numpy)", {}),
        ("try:\n    import nowhere\nexcept ImportError:\n    nowhere = None\nprint(1)", {}),
        ("if print():\n    import nowhere\nprint(1)", {}),
        ("def f():\n    import nowhere\nf()", {}),
        ("import mine\nprint(mine)", {"mine.py": "x = 1\n"}),
        ("import pack.mine\nprint(1)", {"pack/mine.py": "x = 1\n"}),
        ("import odd\nprint(1)", {"requirements.txt": "# text\nodd==1.2\n"}),
        ("from mine import x\nprint(x)", {"mine.py": "x = 1\n"}),
        ("from torch.utils.tensorboard import SummaryWriter\nprint(1)", {"requirements.txt": "tensorboard\n"}),
    ],
)
def test_imports_that_may_succeed_pass(tmp_path, text, files):
    assert found(tmp_path, text, files) == []


@pytest.mark.parametrize(
    ("text", "files", "said"),
    [
        ("import json\nfrom nowhere import f\nprint(f)", {}, "no module nowhere"),
        ("import json\nif __name__ == '__main__':\n    import nowhere", {}, "no module nowhere"),
        ("import json\nimport mlx.core as mx\nprint(mx)", {"mine.py": "'mlx'\n"}, "Apple"),
        ("import json\nfrom mine import y\nprint(y)", {"mine.py": "x = 1\n"}, "mine.py has no y"),
        ("import json\nfrom torch.utils.tensorboard import SummaryWriter\nprint('torch')", {}, "needs tensorboard"),
    ],
)
def test_an_import_that_must_fail_is_a_violation(tmp_path, text, files, said):
    ((severity, line, message),) = found(tmp_path, text, files)
    assert severity == "violation"
    assert line >= 2
    assert said in message


def test_a_module_that_the_script_may_make_first_is_not_checked(tmp_path):
    subject = subject_of(tmp_path, "open('nowhere.py', 'w').write('x = 1')\nimport nowhere\nprint(nowhere)")
    assert findings(r12_broken_script, subject) == []
    assert "nowhere" in not_checked(r12_broken_script, subject)[0]


def test_a_name_that_nothing_binds_on_the_way_of_every_run_is_a_violation(tmp_path):
    text = (
        "def main():\n    a = 1\n    step(a)\n\ndef step(a):\n    return a + rate\n\nif __name__ == '__main__':\n    main()\n"
    )
    assert found(tmp_path, text) == [("violation", 6, "nothing binds the name rate")]


@pytest.mark.parametrize(
    "body",
    [
        "if a:\n        rate",
        "if a:\n        return 1\n    return rate",
        "try:\n        rate\n    except NameError:\n        pass",
        "return [rate for _ in a]",
        "return a and rate",
    ],
)
def test_a_name_that_only_some_runs_come_by_is_a_warning(tmp_path, body):
    text = f"def main(a):\n    {body}\n\nmain(print())\n"
    assert [(severity, "rate" in message) for severity, _, message in found(tmp_path, text)] == [("warning", True)]


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nx = [y for y in range(3)]\nprint(lambda z: z + x[0], __file__)",
        "def f(*a, b=1, **c):\n    global d\n    d = a, b, c\n    def g():\n        return a, d\n    return g\nprint(f())",
        "from mine import *\nprint(whatever)",
        "exec('q = 1')\nprint(q)",
        "match print():\n    case {'a': w, **rest}:\n        print(w, rest)\n    case [*v]:\n        print(v)",
        "class A:\n    k: Later = 1\n    def f(self):\n        return __class__\nprint(A())",
        "if (n := print()):\n    print(n)\ntry:\n    pass\nexcept OSError as e:\n    print(e)",
        "with open('x') as f, open('y') as (a, b):\n    print(f, a, b)",
    ],
)
def test_bound_names_pass(tmp_path, text):
    assert found(tmp_path, text, {"mine.py": "whatever = 1\n"}) == []


def test_an_entry_that_calls_nothing_is_a_violation_and_an_empty_one_is_not(tmp_path):
    assert [severity for severity, _, _ in found(tmp_path, START)] == ["violation"]
    assert found(tmp_path, START + "main()\n") == []
    assert found(tmp_path, "") == []
