"""A lab for controlled experiments on byte-budgeted language models."""

__version__ = "0.1.0"
