"""What every part of the house stands on: canonical JSON, frozen configs, named random streams, errors, units.

Imports nothing of ours and no torch.
"""
