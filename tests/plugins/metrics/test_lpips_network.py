"""A trunk's file is the right one, of the right names and shapes, or it is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from trunks import options_of, save_trunk, trunk_state

from dddm.errors import DataError
from dddm_metrics.lpips_network import make_network, trunk_path
from dddm_metrics.options import TRUNKS, LpipsOptions


def refusal(path: Path) -> str:
    """What is said when the file at `path` is to be the trunk of squeeze."""
    with pytest.raises(DataError) as caught:
        make_network(LpipsOptions(**options_of(path, "squeeze")))
    assert str(path) in str(caught.value)
    return str(caught.value)


def saved(folder: Path, content: Any) -> Path:
    path = folder / "own.pth"
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return trunk_state("squeeze")


def test_a_whole_network_is_taken_without_its_classifier(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    """The trunk's numbers arrive, also from half precision; the classifier's are left out."""
    whole = {name: value.half() for name, value in state.items()}
    path = saved(tmp_path, {**whole, "classifier.1.bias": torch.zeros(3)})
    network = make_network(LpipsOptions(**options_of(path, "squeeze")))
    taken = network._trunk.state_dict()
    expected = whole["features.3.squeeze.weight"].float()
    assert torch.equal(taken["slice2.3.squeeze.weight"], expected)
    assert len(taken) == len(state)


def test_names_are_compared(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """The first name that is missing, or that nobody expects."""
    first, *rest = state
    assert f"{first} is missing" in refusal(saved(tmp_path, {k: state[k] for k in rest}))
    more = {**state, "features.99.weight": torch.zeros(1)}
    assert "features.99.weight is unexpected" in refusal(saved(tmp_path, more))
    other = {f"module.{name}": value for name, value in state.items()}
    assert f"{first} is missing" in refusal(saved(tmp_path, other))


def test_shapes_are_compared(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """A tensor that would broadcast is no substitute."""
    text = refusal(saved(tmp_path, {**state, "features.0.bias": torch.zeros(1)}))
    assert "features.0.bias has the shape (1,), not (64,)" in text


@pytest.mark.parametrize(
    "content", [b"no weights at all", [1, 2], {"features.0.weight": "text"}, Path("code")], ids=repr
)
def test_other_files_are_refused(tmp_path: Path, content: Any) -> None:
    """What torch cannot read, what is no table of tensors, and what would make other objects."""
    if isinstance(content, bytes):
        path = tmp_path / "own.pth"
        path.write_bytes(content)
    else:
        path = saved(tmp_path, content)
    text = refusal(path)
    assert "named tensors" in text or "cannot be read by torch.load" in text


def test_the_users_trunk_is_verified(tmp_path: Path) -> None:
    """Another hash, or no file: nothing is loaded."""
    options = save_trunk(tmp_path, "squeeze")
    with pytest.raises(DataError, match="wrong hash"):
        make_network(LpipsOptions(**{**options, "trunk_sha256": "0" * 64}))
    with pytest.raises(DataError, match="does not exist"):
        make_network(LpipsOptions(**{**options, "trunk_file": "nowhere.pth"}))


@pytest.mark.parametrize("net", ["vgg", "alex", "squeeze"])
def test_the_default_trunk_is_torchvisions(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that the options name by default is looked for, under its own name and hash."""
    monkeypatch.setenv("DDDM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataError, match=TRUNKS[net].sha256):
        trunk_path(LpipsOptions(net=net))
    (tmp_path / TRUNKS[net].name).write_bytes(b"short")
    with pytest.raises(DataError, match="wrong size"):
        trunk_path(LpipsOptions(net=net))
