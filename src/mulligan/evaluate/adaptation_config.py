"""Configs of adaptation, torch-free: how the weights move on what was already scored.

A kind with `legal = False` breaks a rule on purpose, to reproduce what was published with it and to test the judge.
"""

from typing import ClassVar, Literal

from pydantic import Field

from mulligan.core.config import FrozenConfig


class Lora(FrozenConfig):
    """Low-rank updates of the linear maps that `match` (globs) names, one per document; defaults are PR 1855's.

    A document is scored in chunks of `chunk_tokens`, at most the windows' context_len. An update counts `alpha` / `rank`.
    `a`: A is drawn anew for each document (cold), or goes on from the document of the same place in the batch before (warm).
    `match`: such as blocks.0.attn.c_q, or head, tied or not.
    """

    kind: Literal["lora"]
    rank: int = Field(default=80, ge=1)
    alpha: float = Field(default=144.0, gt=0)
    chunk_tokens: int = Field(default=48, ge=1)
    batch_documents: int = Field(default=64, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    eps: float = Field(default=1e-10, gt=0)
    weight_decay: float = Field(default=0.5, ge=0)
    a: Literal["cold", "warm"] = "warm"
    match: tuple[str, ...] = Field(default=("*",), min_length=1)


class Slot(FrozenConfig):
    """Each window's final hidden state is shifted to fit the targets that it is then scored on, in `num_steps` of AdamW.

    `logit_bias`: a bias of each window's logits is fitted with it.
    """

    legal: ClassVar[bool] = False
    kind: Literal["slot"]
    num_steps: int = Field(ge=1, examples=[8])
    lr: float = Field(gt=0, examples=[0.005])
    logit_bias: Literal["off", "per-window"] = "off"
