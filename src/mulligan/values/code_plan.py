"""What the writer of a matrix chooses, and states: classes of rows, where the columns' sizes start from, prediction or none.

Nothing here is needed to read. Every choice is lossless; these are made to be short. Torch-free.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mulligan.values.code_model import MAX_CLASSES_LOG2, MAX_SLOPE, MAX_STRENGTH, CodeModel, MatrixPlan, linear_fits
from mulligan.values.range_coder import CodeLength, Ints

NUM_SEEDS = 512
"""Rows that may become the first centre of a class."""


def plan_matrix(model: CodeModel, codes: NDArray[np.int8], bits: int, profiles: Sequence[Ints]) -> MatrixPlan:
    """Return a plan for codes (rows, cols), given what the model has learned; with prediction where that is shorter."""
    labels, classes_log2 = _classes(codes)
    plan = _with_source(MatrixPlan(labels, classes_log2), codes[labels == 0], profiles)
    if not linear_fits(codes.shape):
        return plan
    plans = [plan, replace(plan, linear=1)]
    return min(plans, key=lambda choice: _bits(model, codes, bits, profiles, choice))


def _bits(model: CodeModel, codes: NDArray[np.int8], bits: int, profiles: Sequence[Ints], plan: MatrixPlan) -> float:
    measure = CodeLength()
    model.copy().walk(measure, codes.shape, bits, profiles, codes, plan)
    return measure.bits


def _classes(codes: NDArray[np.int8]) -> tuple[Ints, int]:
    """Return each row's class (k-means) and the classes' number, as a power of two; rows unlike any others are class 0.

    Centres are taken greedily where they save most: a row that is predicted with half the error saves a bit per code.
    """
    rows, cols = codes.shape
    values = codes.astype(np.float64)
    energy = (values * values).sum(axis=1)
    seeds = np.unique(np.linspace(0, rows - 1, min(rows, NUM_SEEDS)).astype(np.int64))
    apart = energy[:, None] + energy[seeds] - 2 * (values @ values[seeds].T)
    # A class's mean is nearer than any one of its rows: without the chance in that row.
    distances = apart - 0.3 * np.minimum(apart, energy[seeds]) + cols / 8
    centres, rest = [np.zeros(cols)], energy + cols / 4
    while len(centres) < 1 << MAX_CLASSES_LOG2:
        near = np.minimum(distances, rest[:, None])
        near[seeds, np.arange(len(seeds))] = rest[seeds]
        saved_bits = 0.5 * cols * np.log2(rest[:, None] / near).sum(axis=0)
        best = int(saved_bits.argmax())
        # What a class costs: the first rows of it, until its mean is known, and a label for every row.
        if saved_bits[best] < 4 * cols + rows:
            break
        centres.append(values[seeds[best]])
        rest = np.minimum(rest, distances[:, best])
    return _nearest(values, np.array(centres)), (len(centres) - 1).bit_length()


def _nearest(values: NDArray[np.float64], centres: NDArray[np.float64]) -> Ints:
    """Return the nearest centre's number for each row, after eight rounds of k-means; centre 0 stays."""
    labels = np.zeros(len(values), dtype=np.int64)
    for _ in range(8 if len(centres) > 1 else 0):
        labels = ((centres * centres).sum(axis=1) - 2 * (values @ centres.T)).argmin(axis=1)
        for label in range(1, len(centres)):
            members = values[labels == label]
            if len(members) > 1:
                centres[label] = np.rint(4 * members.mean(axis=0)) / 4
    return labels


def _with_source(plan: MatrixPlan, codes: NDArray[np.int8], profiles: Sequence[Ints]) -> MatrixPlan:
    """Return the plan with the profile that foretells the columns of `codes` best, its slope, and how far to trust it."""
    rows, cols = codes.shape
    if rows < 2:
        return plan
    values = codes.astype(np.float64)
    row_rms = np.sqrt((values * values).mean(axis=1, keepdims=True) + 0.05)
    target = 0.5 * np.log(((values / row_rms) ** 2).mean(axis=0) + 1e-4)
    target -= target.mean()
    least, source, slope = float(target @ target) / cols, 0, 0
    for number, profile in enumerate(profiles, start=1):
        log_size = (profile - profile.mean()) * (math.log(2) / 8)
        spread = float(log_size @ log_size)
        fit = round(min(MAX_SLOPE, max(0.0, 4 * float(target @ log_size) / spread))) if spread > 0 else 0
        error = float(((target - fit / 4 * log_size) ** 2).sum()) / cols
        if fit and error < 0.97 * least:
            least, source, slope = error, number, fit
    # The log of a size known from n rows varies by 1 / 2n: so much of the error is the rows' own chance, the rest the source's.
    variance = max(least - 1 / (2 * rows), 1e-4)
    strength = round(min(MAX_STRENGTH, max(0.0, math.log2(1 / (2 * variance)))))
    return replace(plan, source=source, slope=slope, strength=strength)
