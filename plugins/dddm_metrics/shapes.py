"""What all metrics ask of the images that they compare."""

from torch import Tensor


def require_same_shape(*, estimate: Tensor, target: Tensor) -> None:
    """Refuse what broadcasting would compare wrongly.

    Raises:
        ValueError: if the shapes differ.
    """
    if estimate.shape != target.shape:
        raise ValueError(
            f"the estimate has shape {tuple(estimate.shape)}, the target {tuple(target.shape)}"
        )
