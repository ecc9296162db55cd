"""What the review of a submission says: findings with file and line, and what was not checked with the reason."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["violation", "warning"]
Category = Literal[
    "broken_script",
    "byte_count",
    "byte_ppm",
    "data_leak",
    "dead_lever",
    "evidence",
    "gptq_train_data_at_eval",
    "hidden_text",
    "ngram_cache",
    "ngram_target_gating",
    "oracle_selection",
    "paid_prefix",
    "pre_quant_ttt",
    "size_over_cap",
    "slot",
    "smear_bos_leak",
    "ttt_adapt_then_score",
    "two_pass",
    "val_training",
]


@dataclass(frozen=True, order=True)
class Finding:
    """`rule`: R1 to R13. `file`: relative to the folder. `line`: from 1 in that file; of code that is packed in it, in the
    unpacked text; None where no line shows it. Only a violation decides the verdict."""

    rule: str
    category: Category
    severity: Severity
    file: str
    line: int | None
    message: str


@dataclass(frozen=True, order=True)
class NotChecked:
    """`reason`: why nothing can be said of a rule."""

    rule: str
    reason: str
