"""Statistics of controlled experiments: contrasts, factorial effects, equivalence, power, verdicts, record rules.

Scores are such that lower is better (bits per byte) unless a call says otherwise; the unit of replication is the seed.
Nothing here knows torch, a store or a recipe: plain numbers and CSV rows go in.
"""
