"""The rules of the review, one file each; a code may have several files, and one that has none here is never checked."""

from types import ModuleType

from mulligan.review.card import rule_of
from mulligan.review.rules import (
    hidden_text,
    lever_folded,
    lever_unloaded,
    lever_unowned,
    lever_unused,
    r01_size,
    r02_clocks,
    r03_calibration,
    r04_data_split,
    r04_val_training,
    r05_adapt_then_score,
    r06_target_lookup,
    r07_two_passes,
    r08_slot,
    r09_byte_mixture,
    r10_byte_count,
    r10_bytes_of_text,
    r10_overrun,
    r11_record,
    r11_score,
    r11_seeds,
    r12_broken_script,
    r13_document_leak,
)

MODULES: tuple[ModuleType, ...] = (
    r01_size,
    r02_clocks,
    r03_calibration,
    r04_data_split,
    r04_val_training,
    r05_adapt_then_score,
    r06_target_lookup,
    r07_two_passes,
    r08_slot,
    r09_byte_mixture,
    r10_byte_count,
    r10_bytes_of_text,
    r10_overrun,
    r11_record,
    r11_score,
    r11_seeds,
    r12_broken_script,
    r13_document_leak,
    lever_folded,
    lever_unloaded,
    lever_unowned,
    lever_unused,
    hidden_text,
)
RULES = tuple(rule_of(module) for module in MODULES)
NAMES = {
    "R1": "size",
    "R2": "clocks",
    "R3": "calibration after the clock",
    "R4": "validation data in training",
    "R5": "adaptation before the score",
    "R6": "n-gram caches and blends",
    "R7": "two passes",
    "R8": "fitting on scored targets",
    "R9": "byte-level mixtures",
    "R10": "byte counting",
    "R11": "evidence for the score",
    "R12": "modules and parsing",
    "R13": "leaks across documents",
    "levers": "dead levers",
    "text": "hidden characters",
}
"""Every rule, in a few words."""
EVIDENCE = ("R1", "R2", "R11")
"""Rules that read what lies around the code: sizes, logs, README, submission.json."""
