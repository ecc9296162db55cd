"""Wrong counts of bytes are found by what a table holds, wherever it is made and added and whatever it is called."""

import numpy as np
import pytest

from mulligan.review.rules import r10_byte_count
from script_subject import findings, not_checked, subject_of

SCORE = """
def total(model, ids, sizes, opens, silent):
    amount = 0.0
    for x, y in ids:
        n = sizes[y].to(float64)
        n += (opens[y] & ~silent[x]).to(float64)
        amount += n.sum()
    return amount
"""
TABLE = """
import sentencepiece

def look(tok, count):
    sizes, opens, silent = np.zeros(count, dtype=np.int16), np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
    for i in range(count):
        if tok.is_control(i) or tok.is_unknown(i) or tok.is_unused(i):
            continue
        silent[i] = False
        if tok.is_byte(i):
            sizes[i] = 1
            continue
        text = tok.id_to_piece(i)
        if text.startswith("\\u2581"):
            opens[i] = True
            text = text[1:]
        sizes[i] = LENGTH
    return torch.tensor(sizes), torch.tensor(opens), torch.tensor(silent)
"""
MAIN = """
def main():
    a, b, c = look(sentencepiece.SentencePieceProcessor(model_file="x"), 1024)
    print(total(None, [], a, b, c))

main()
"""
RIGHT = "len(text.encode('utf-8'))"
DOUBLED = "len(text.encode('utf-8')) + int(opens[i])"


def script(length=RIGHT, table=TABLE, score=SCORE, main=MAIN):
    return table.replace("LENGTH", length) + score + main


def messages(tmp_path, text, files=None):
    return [(one.severity, one.line, one.message) for one in findings(r10_byte_count, subject_of(tmp_path, text, files))]


def test_a_right_count_passes_and_is_said_to_be_checked(tmp_path):
    subject = subject_of(tmp_path, script())
    assert findings(r10_byte_count, subject) == []
    assert not_checked(r10_byte_count, subject) == []


def test_a_space_in_the_table_and_in_the_score_is_a_violation_with_the_line_that_adds_it(tmp_path):
    text = script(DOUBLED)
    ((severity, line, message),) = messages(tmp_path, text)
    assert severity == "violation"
    assert "opens[y]" in text.splitlines()[line - 1]
    assert "the table has it" in message


@pytest.mark.parametrize(
    "replace",
    [
        ("n += (opens[y] & ~silent[x]).to(float64)", "n = n + (opens[y] & ~silent[x])"),
        ("n += (opens[y] & ~silent[x]).to(float64)", "n.add_((opens[y] & ~silent[x]).to(float64))"),
        ("n += (opens[y] & ~silent[x]).to(float64)", "n = torch.where(opens[y] & ~silent[x], n + 1, n)"),
        ("n += (opens[y] & ~silent[x]).to(float64)", "if opens[y] and not silent[x]:\n            n += 1"),
    ],
)
def test_the_space_may_be_added_in_any_form(tmp_path, replace):
    score = SCORE.replace(*replace)
    assert score != SCORE
    assert len(messages(tmp_path, script(DOUBLED, score=score))) == 1
    assert messages(tmp_path, script(score=score)) == []


def test_the_table_is_followed_into_another_file_through_an_object_and_a_dict(tmp_path):
    helper = TABLE.replace("LENGTH", "len(text.encode()) + 1 if opens[i] else len(text.encode())").replace(
        "return torch.tensor(sizes), torch.tensor(opens), torch.tensor(silent)",
        "return {'n': torch.tensor(sizes), 'first': torch.tensor(opens), 'none': torch.tensor(silent)}",
    )
    main = """
from tables import look

class Counter:
    def __init__(self, tok):
        found = look(tok, 8)
        self.one, self.two, self.three = found["n"].cuda(), found["first"].cuda(), found["none"].cuda()

    def amount(self, x, y):
        return (self.one[y] + (self.two[y] & ~self.three[x])).sum()

print(Counter(tok).amount(0, 1))
"""
    ((_, line, message),) = messages(tmp_path, main, {"tables.py": helper})
    assert "self.one[y]" in main.splitlines()[line - 1]
    assert "tables.py" in message


def test_a_loop_in_the_main_function_is_worked_out_too(tmp_path):
    inner = TABLE.partition("def look(tok, count):\n")[2].partition("    return")[0].replace("LENGTH", DOUBLED)
    main = f"""
import sentencepiece

def main():
    args = settings()
    if args.check:
        raise ValueError("no")
    tok = sentencepiece.SentencePieceProcessor(model_file=args.path)
    count = args.vocab_size
{inner}
    print(total(None, [], torch.tensor(sizes), torch.tensor(opens), torch.tensor(silent)))

main()
"""
    assert len(messages(tmp_path, SCORE + main)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('text.startswith("\\u2581")', 'text.startswith("_")'), "the mark of a space counts 3 bytes"),
        (("        if tok.is_byte(i):\n            sizes[i] = 1\n            continue\n", ""), "is one byte counts 6 bytes"),
        (("LENGTH", "len(text)"), "characters are counted"),
        (("        silent[i] = False\n", "        silent[i] = text_is_long\n"), None),
    ],
)
def test_other_wrong_tables(tmp_path, change, said):
    table = TABLE.replace(*change)
    assert table != TABLE
    found = messages(tmp_path, script(table=table))
    assert any(said in message for _, _, message in found) if said else isinstance(found, list)


def test_a_table_that_no_score_uses_is_none_of_our_business(tmp_path):
    table = TABLE.replace("def look", "def unused").replace("LENGTH", "len(text)")
    assert messages(tmp_path, table + script()) == []


def test_a_space_after_a_document_start_is_told(tmp_path):
    found = messages(tmp_path, script(score=SCORE.replace(" & ~silent[x]", "")))
    assert [message for _, _, message in found] == [
        "the space in front of a word is added also after a token that prints nothing"
    ]


def test_a_table_that_cannot_be_worked_out_is_not_checked_with_the_reason(tmp_path):
    table = TABLE.replace("LENGTH", RIGHT).replace("        silent[i] = False\n", "        if secret:\n            continue\n")
    (reason,) = not_checked(r10_byte_count, subject_of(tmp_path, table + SCORE + MAIN))
    assert "look" in reason
    assert "setting" in reason


def test_a_constant_in_place_of_bytes_is_a_violation_where_nothing_is_counted(tmp_path):
    text = """
    import math, os
    SIZE = float(os.environ.get("SIZE", "3.7"))
    def score(total, n):
        nats = total / n
        return nats / math.log(2.0) / SIZE
    print(score(1.0, 2))
    """
    ((severity, line, message),) = messages(tmp_path, text)
    assert (severity, line) == ("violation", 6)
    assert "3.7 bytes per token" in message
    assert messages(tmp_path, text.replace("/ SIZE", "* (n / count)")) == []
    assert [one[0] for one in messages(tmp_path, script() + "\nimport math\nprint(total / (math.log(2) * 4.1))")] == ["warning"]


def test_single_bytes_that_count_three_in_a_file_are_told_by_their_place(tmp_path):
    text = 'import numpy as np\nwith np.load("t.npz") as held:\n    sizes = held["sizes"]\n'
    wrong = np.array([1] * 40 + [3] * 12 + [1] * 4 + [2] * 300, dtype=np.int16)
    np.savez(tmp_path / "t.npz", sizes=wrong)
    ((severity, _, message),) = messages(tmp_path, text)
    assert severity == "violation"
    assert "tokens 40 to 51" in message
    np.savez(tmp_path / "t.npz", sizes=np.where(wrong == 3, 1, wrong))
    assert messages(tmp_path, text) == []
    np.savez(tmp_path / "t.npz", other=wrong)
    assert messages(tmp_path, text) == []


def test_nothing_of_the_script_is_executed_and_work_is_bounded(tmp_path):
    table = TABLE.replace("LENGTH", RIGHT)
    for line in (
        f"open({str(tmp_path / 'made')!r}, 'w')",
        "text = text * 9 ** 99",
        "text = 'a' * 10 ** 12",
        "[0 for _ in range(10**9)]",
    ):
        hostile = table.replace("        text = tok", f"        {line}\n        text = tok")
        assert hostile != table
        list(r10_byte_count.check(subject_of(tmp_path, hostile + SCORE + MAIN)))
    assert not (tmp_path / "made").exists()
