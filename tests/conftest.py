"""Settings of the whole suite."""

import torch

torch.set_num_threads(1)  # pytest runs two workers on two cores; more threads than cores make everything slower
