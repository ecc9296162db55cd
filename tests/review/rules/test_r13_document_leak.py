"""A gate to the previous token that nothing shuts where a document begins, in a network that keeps documents apart."""

import pytest

from mulligan.review.rules import r13_document_leak
from script_subject import findings, subject_of

NETWORK = """
import torch
class Network(torch.nn.Module):
    def forward(self, ids, ends):
        h = self.table(ids)
        {gate}
        return flash_attn_varlen_func(h, h, h, cu_seqlens_q=ends)
print(Network()(1, 2))
"""
OPEN = "a = torch.sigmoid(self.a(h[:, 1:]))\n        h = torch.cat([h[:, :1], h[:, 1:] + a * h[:, :-1]], dim=1)"


def found(tmp_path, gate, network=NETWORK):
    return [(one.severity, one.line) for one in findings(r13_document_leak, subject_of(tmp_path, network.format(gate=gate)))]


@pytest.mark.parametrize(
    ("gate", "line"),
    [
        (OPEN, 7),
        ("p = torch.nn.functional.pad(h[:, :-1], (0, 0, 1, 0))\n        h = (1 - self.a) * h + self.a * p", 7),
        ("p = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], dim=1)\n        h = h + p * self.a.sigmoid()", 7),
    ],
)
def test_an_open_gate_is_a_warning_with_its_line(tmp_path, gate, line):
    assert found(tmp_path, gate) == [("warning", line)]


@pytest.mark.parametrize(
    "gate",
    [
        OPEN.replace("\n", "\n        a = a * (ids[:, 1:] != 1).unsqueeze(-1)\n"),
        OPEN.replace("\n", "\n        first = ids[:, 1:] == 1\n        a = a.masked_fill(first, 0.0)\n"),
        "k = (31 * ids[:, 1:] ^ 7 * ids[:, :-1]) % 99\n        h = h + self.pairs(k)",
        "h = h + 0.5 * h",
        "loss = 2 * self.head(h[:, :-1]) + ids",
    ],
)
def test_what_a_comparison_shuts_and_what_is_no_gate_pass(tmp_path, gate):
    assert found(tmp_path, gate) == []


def test_where_attention_crosses_documents_anyway_it_is_no_finding(tmp_path):
    network = NETWORK.replace("flash_attn_varlen_func(h, h, h, cu_seqlens_q=ends)", "attend(h, cu_seqlens=None)")
    assert found(tmp_path, OPEN, network) == []
