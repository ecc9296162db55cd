"""The pack stage: Quantized -> Artifact, and what its bytes and its code cost."""
