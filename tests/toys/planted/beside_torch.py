"""A learning rate whose module imports torch."""

import torch

from planted.rates import Linear


class BesideTorch(Linear):
    dtype = torch.float64
