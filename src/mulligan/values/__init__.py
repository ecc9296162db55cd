"""The typed, immutable values that pass between stages, and how each is written and read."""
