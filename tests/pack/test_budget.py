"""B15: the total is payload and code, the budget decimal."""

import pytest
import torch

from mulligan.pack.budget import BUDGET_BYTES, fits, over_budget_text
from mulligan.values.artifact import Artifact
from mulligan.values.container import pack_container
from mulligan.values.quantized import Quantized


def test_the_budget_is_sixteen_decimal_megabytes_not_mebibytes():
    assert BUDGET_BYTES == 16_000_000
    assert not fits(16 * 1024 * 1024, 0)
    assert not fits(int(15.9 * 1024 * 1024), 0)


@pytest.mark.parametrize(
    ("payload_bytes", "code_bytes", "expected"),
    [(15_950_000, 50_000, True), (15_950_000, 50_001, False), (16_000_000, 0, True), (16_000_001, 0, False)],
)
def test_code_counts_and_the_budget_itself_still_fits(payload_bytes, code_bytes, expected):
    assert fits(payload_bytes, code_bytes) is expected
    assert fits(payload_bytes, code_bytes, 10) is False


def test_over_budget_the_tensors_are_listed_largest_first_and_sum_to_the_payload():
    torch.manual_seed(0)
    value = Quantized({"small": torch.randn(100), "large": torch.randn(900), "half": torch.randn(900).half()}, {}, {})
    summary = Artifact(pack_container(value, "zlib", 9)).summary()
    first, *lines = over_budget_text(summary, 1000, 5000).splitlines()
    total = summary["payload_bytes"] + 1000
    assert f"= {total:,} B, which is {total - 5000:,} B over the budget of 5,000 B" in first
    counts = [int(line.split(" B ")[0].replace(",", "")) for line in lines]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == summary["payload_bytes"]
    assert [line.split(" B  ")[1].split()[0] for line in lines] == ["large", "half", "small", "(container:"]
