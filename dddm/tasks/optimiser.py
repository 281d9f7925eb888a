"""Adam, and its state as named tensors for a checkpoint without pickle."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dddm.recipe.model import TrainSettings


def make_optimiser(backbone: nn.Module, settings: TrainSettings) -> torch.optim.Adam:
    """Adam as the recipe asks for it (§5.1)."""
    first, second = settings.adam_betas
    return torch.optim.Adam(
        backbone.parameters(),
        lr=settings.learning_rate,
        betas=(first, second),
        eps=settings.adam_eps,
        fused=True,
    )


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor of the state, named `number of the parameter.name`."""
    state = optimiser.state_dict()["state"]
    return {
        f"{parameter}.{name}": tensor
        for parameter, tensors in state.items()
        for name, tensor in tensors.items()
    }


def load_optimiser_state(optimiser: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Return to what `optimiser_state` gave; the settings stay those of the recipe.

    Raises:
        ValueError: if the state is of other parameters.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    by_parameter: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        parameter, _, name = key.partition(".")
        by_parameter.setdefault(int(parameter), {})[name] = tensor
    for number, tensors in by_parameter.items():
        if number >= len(parameters) or tensors["exp_avg"].shape != parameters[number].shape:
            raise ValueError(f"the optimiser's state of parameter {number} is of another shape")
        by_parameter[number] = {
            name: _laid_out_like(parameters[number], tensor) for name, tensor in tensors.items()
        }
    optimiser.load_state_dict({**optimiser.state_dict(), "state": by_parameter})


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """The same values, in the memory order of the parameter if they are one for each of its own.

    Fused Adam walks through memory: moments in another order would meet other weights.
    """
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
