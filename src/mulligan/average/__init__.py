"""The average stage: what observers of a training recorded -> Weights."""
