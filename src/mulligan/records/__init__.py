"""Records of the challenge: read from a clone into one table, with the file and line of every figure, and judged again."""
