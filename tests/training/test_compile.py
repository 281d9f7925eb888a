"""`train.compile`: the whole step as one graph, or its expensive parts each as one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters
from training_runs import losses_of

from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.context import RunContext
from dddm.training.run_folder import prepare_folder
from dddm.workflow.run import run

SMALL = (
    "backbone.channels=8",
    "backbone.head_width=8",
    "backbone.multipliers=[1]",
    "backbone.attention=[8]",
    "train.epochs=2",
    "train.batch_images=500",
    "train.accumulation_steps=2",
    "train.diagnose_every_epochs=1",
    "sample=[]",
)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Graphs are made as always, and run as they are: what inductor makes of them takes minutes."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def losses(folder: Path, name: str, *overrides: str) -> list[float]:
    recipe = read_recipe(name, overrides=overrides, catalogue=load_catalogue())
    place = prepare_folder(recipe, folder)
    run(RunContext(recipe=recipe, folder=place, device=torch.device("cpu")))
    return losses_of(place)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        # The step; begin and refine of the diagnosis.
        ("digits", ("objective.estimate_dropout=0.1",), 3),
        # Evaluation, two distances; begin and refine of the diagnosis.
        ("digits", ("objective.guided_mix=true",), 5),
        ("digits_denoising", (), 1),
        ("digits_flow_matching", (), 1),
        # Evaluations with gradient and without; the distance.
        ("digits_consistency", (), 3),
        ("digits_consistency_ratio", (), 3),
        ("digits_drifting", (), 1),
        ("digits_energy_score", (), 1),
        # Evaluations of the network and of its average.
        ("digits_directly_drifting", ("train.accumulation_steps=5",), 2),
    ],
)
def test_no_graph_breaks_and_none_is_compiled_twice(
    tmp_path: Path, graphs: None, name: str, more: tuple[str, ...], expected: int
) -> None:
    """In training with accumulation and in diagnoses; losses are those without compilation."""
    plain = losses(tmp_path / "plain", name, *SMALL, *more)
    compiled = losses(tmp_path / "compiled", name, *SMALL, *more, "train.compile=true")
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == expected
    assert compiled == pytest.approx(plain, rel=1e-5)
