"""Somebody's Python script, read and never run: what is packed in it, the modules beside it that it reaches. Torch-free."""
