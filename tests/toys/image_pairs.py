"""Strategies for pairs of small images, for what must hold between any two of them."""

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

shapes = st.tuples(*(st.integers(1, largest) for largest in (3, 3, 4, 4)))
values = st.floats(-2, 2, width=32)


@st.composite
def image_pairs(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Two batches of one shape (B, C, H, W), float32, in [-2, 2]."""
    shape = draw(shapes)
    a, b = (draw(st_numpy.arrays(np.float32, shape, elements=values)) for _ in range(2))
    return torch.from_numpy(a), torch.from_numpy(b)
