"""What a quantizer needs to act on, checked from names and shapes alone: before a training rather than after it."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from mulligan.model.config import ModelConfig
from mulligan.model.kind import UserFeedForward
from mulligan.numerics.config import Format, IntFormat, StandardDeviations
from mulligan.quantize.config import Gptq, HadamardRotation, LowRankCorrection, MagnitudePruning, PlusMinusOnePruning, Quantizer
from mulligan.values.corpus import TokenStream


def check_acts(config: Quantizer, formats: Mapping[str, Format], shapes: Mapping[str, Sequence[int]]) -> None:
    """Raise ValueError for a step that would act nowhere on this grid."""
    matrices = {name: form for name, form in formats.items() if isinstance(form, IntFormat) and len(shapes[name]) == 2}
    by_row = [name for name, form in matrices.items() if form.scale_per == "row"]
    steps = {
        'kind = "gptq"': isinstance(config, Gptq) and not matrices,
        "rotation": isinstance(config.rotation, HadamardRotation) and not by_row,
        "correction": isinstance(config.correction, LowRankCorrection) and not matrices,
    }
    for step, idle in steps.items():
        if idle:
            raise ValueError(
                f"quantize.{step} acts on matrices of integer codes, and the grid has none. Give the family of blocks.*.weight "
                f"an integer format with a scale per row, or leave {step.split()[0]} out."
            )
    if isinstance(config.prune, PlusMinusOnePruning):
        for glob in config.prune.match:
            if not any(fnmatchcase(name, glob) for name in by_row):
                raise ValueError(
                    f"quantize.prune.match: {glob!r} matches no matrix of integer codes with a scale per row. There are: "
                    f"{', '.join(by_row[:4]) or 'none'}. Correct or remove the glob."
                )
    by_deviation = any(isinstance(matrices[name].scale, StandardDeviations) for name in by_row)
    if isinstance(config, Gptq) and config.row_importance > 0 and not by_deviation:
        raise ValueError(
            "quantize.row_importance widens scales of the rule standard-deviations, and no matrix of the grid has it. Leave "
            'row_importance out, or give scale = {kind = "standard-deviations", k = 12.85}.'
        )
    if isinstance(config.prune, MagnitudePruning):
        _check_size(config.prune, shapes)


def _check_size(prune: MagnitudePruning, shapes: Mapping[str, Sequence[int]]) -> None:
    largest = max((shape[0] * shape[1] for shape in shapes.values() if len(shape) == 2), default=0)
    if largest < prune.min_elements:
        raise ValueError(
            f"quantize.prune.min_elements = {prune.min_elements:,}, and the largest matrix has {largest:,} elements: nothing "
            "is pruned. Give a smaller number."
        )


def check_hidden_units(config: Quantizer, model: ModelConfig) -> None:
    """Raise ValueError where hidden units are to be sorted and the feed-forward is one of the user's own."""
    if config.hidden_permutation != "off" and isinstance(model.feed_forward, UserFeedForward):
        raise ValueError(
            "quantize.hidden_permutation knows the hidden units of the shipped feed-forwards, and this network has "
            f'{model.feed_forward.kind!r}. Give hidden_permutation = "off".'
        )


def check_text(seq_len: int, stream: TokenStream) -> None:
    """Raise ValueError where the train split is shorter than one calibration sequence."""
    if stream.num_tokens < seq_len:
        raise ValueError(
            f"quantize.calibration.seq_len = {seq_len}, and the train split has {stream.num_tokens} tokens. Give fewer."
        )
