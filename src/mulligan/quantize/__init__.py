"""The quantize stage: Weights -> Quantized, on the grid of the recipe."""
