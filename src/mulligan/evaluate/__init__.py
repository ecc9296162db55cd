"""The evaluate stage: Weights or Artifact, Corpus -> Scores."""
