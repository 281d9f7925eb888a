"""The optimiser's state goes round through named tensors."""

import pytest
import torch
from torch import Tensor, nn

from dddm.recipe.model import TrainSettings
from dddm.tasks.optimiser import load_optimiser_state, make_optimiser, optimiser_state


def settings() -> TrainSettings:
    return TrainSettings(epochs=1, batch_images=2, learning_rate=0.1)


def network(*, channels_last: bool) -> nn.Conv2d:
    """One convolution, the same each time; a bias has one dimension whatever the layout."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, kernel_size=3)
    if channels_last:
        layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return layer


def step(layer: nn.Conv2d, optimiser: torch.optim.Optimizer, *, seed: int) -> None:
    image_BCHW = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(seed))
    optimiser.zero_grad()
    layer(image_BCHW).square().sum().backward()
    optimiser.step()


def stored(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As a file gives tensors back: in the plain memory order."""
    return {
        name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()
    }


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_resumed_optimiser_goes_on_as_if_never_stopped(*, channels_last: bool) -> None:
    """Two steps, a round through a file and two more are four steps, bit for bit."""
    whole, cut = (network(channels_last=channels_last) for _ in range(2))
    first, second = make_optimiser(whole, settings()), make_optimiser(cut, settings())
    for seed in range(2):
        step(whole, first, seed=seed)
        step(cut, second, seed=seed)
    resumed = make_optimiser(cut, settings())
    load_optimiser_state(resumed, stored(optimiser_state(second)))
    for seed in range(2, 4):
        step(whole, first, seed=seed)
        step(cut, resumed, seed=seed)
    assert torch.equal(whole.weight, cut.weight)


def test_a_state_of_other_parameters_is_refused() -> None:
    """A moment of another shape than its parameter belongs to another network."""
    layer = network(channels_last=False)
    optimiser = make_optimiser(layer, settings())
    step(layer, optimiser, seed=0)
    state = optimiser_state(optimiser)
    state["0.exp_avg"] = torch.zeros(1)
    with pytest.raises(ValueError, match="parameter 0 is of another shape"):
        load_optimiser_state(optimiser, state)
