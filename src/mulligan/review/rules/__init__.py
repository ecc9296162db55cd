"""The rules of the review, one file each; a code may have several files, and one that has none here is never checked."""

from types import ModuleType

from mulligan.review.card import rule_of
from mulligan.review.rules import r01_size, r02_clocks, r10_overrun, r11_record, r11_score, r11_seeds

MODULES: tuple[ModuleType, ...] = (r01_size, r02_clocks, r10_overrun, r11_record, r11_score, r11_seeds)
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
}
"""Every rule, in a few words."""
EVIDENCE = ("R1", "R2", "R11")
"""Rules that read what lies around the code: sizes, logs, README, submission.json."""
