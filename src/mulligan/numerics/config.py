"""The grid, torch-free: which tensors are stored on how many bits, by which scale rule, over which range of codes.

One part of the recipe, read by the exporters always and by training where fake quantization acts, so that both mean
the same tensors and the same rounding.
"""

from typing import Annotated, Literal

from pydantic import Field

from mulligan.core.config import FrozenConfig, lever_field


class RowMax(FrozenConfig):
    """The greatest |w| of a row is the outermost code."""

    kind: Literal["row-max"]


class Percentile(FrozenConfig):
    """The quantile `p` (a fraction, linear between order statistics) of a row's |w| is the outermost code."""

    kind: Literal["percentile"]
    p: float = Field(gt=0, le=1, examples=[0.9999])


class StandardDeviations(FrozenConfig):
    """`k` unbiased standard deviations of a row are the outermost code."""

    kind: Literal["standard-deviations"]
    k: float = Field(gt=0, examples=[12.85])


class ClipSearch(FrozenConfig):
    """Of the quantiles `percentiles` (fractions) of a row's |w|, the one whose rounding has the least squared error.

    `per`: each row takes the best for itself, or all rows of a matrix take the one that is best for the whole.
    """

    kind: Literal["clip-search"]
    percentiles: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(0.999, 0.9995, 0.9999, 0.99999, 1.0), min_length=2
    )
    per: Literal["row", "matrix"] = "row"


class LegacyRowMaxFloored(FrozenConfig):
    """Row maximum with the scale floored at 1/c: a fixed step for weights below 1. To reproduce only."""

    kind: Literal["legacy-row-max-floored"]


class LegacyPercentileFloored(FrozenConfig):
    """Clip at the quantile `p`, scale floored at 1/c: a fixed step below 1. To reproduce only."""

    kind: Literal["legacy-percentile-floored"]
    p: float = Field(gt=0, le=1, examples=[0.9999])


Scale = Annotated[
    RowMax | Percentile | StandardDeviations | ClipSearch | LegacyRowMaxFloored | LegacyPercentileFloored,
    Field(discriminator="kind"),
]


class IntFormat(FrozenConfig):
    """Integer codes; with c = 2^(bits-1) - 1 the `range` `symmetric` is [-c, c] and `legacy` [-(c+1), c].

    `scale_per`: an fp16 scale for each row (a tensor that is no matrix is one row), or one fp32 scale for the whole tensor, by
    the same rule as if it were one row.
    """

    kind: Literal["int"]
    bits: int = Field(ge=2, le=8, examples=[6])
    scale: Scale
    range: Literal["symmetric", "legacy"] = "symmetric"
    scale_per: Literal["row", "tensor"] = lever_field("row", off="row")

    @property
    def max_code(self) -> int:
        """c, the greatest code."""
        return int(2 ** (self.bits - 1)) - 1

    @property
    def min_code(self) -> int:
        """The least code."""
        return -self.max_code - (self.range == "legacy")


class Fp16Format(FrozenConfig):
    """Stored as IEEE binary16."""

    kind: Literal["fp16"]


class Fp32Format(FrozenConfig):
    """Stored as it is, IEEE binary32."""

    kind: Literal["fp32"]


Format = Annotated[IntFormat | Fp16Format | Fp32Format, Field(discriminator="kind")]


class Family(FrozenConfig):
    """Tensors whose name matches one of the globs `match` (`*` crosses dots) and that have `min_elements` or more."""

    match: tuple[str, ...] = Field(min_length=1, examples=[["*"]])
    min_elements: int = lever_field(0, off=0, ge=0)
    format: Format


class GridConfig(FrozenConfig):
    """Families in order: the first that takes a tensor gives its format."""

    families: tuple[Family, ...] = Field(min_length=1)
