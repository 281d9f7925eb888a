"""A checkpoint of torch's becomes a file that the features read."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from dddm.errors import DataError
from dddm.support.files import sha256_of
from dddm_features.convert_resnet20 import convert, main
from dddm_features.resnet20_network import ResNet20


def test_a_checkpoint_becomes_the_same_weights(tmp_path: Path) -> None:
    """`module.` is taken off, and every weight is there, bit for bit; the hash is the file's."""
    state = ResNet20().state_dict()
    source, target = tmp_path / "a.th", tmp_path / "a.safetensors"
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, source)
    digest = convert(source, target)
    found = load_file(target)
    wanted = {key: value for key, value in state.items() if "num_batches" not in key}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert digest == sha256_of(target)


def test_the_command_prints_what_a_recipe_needs(tmp_path: Path) -> None:
    """A bare state_dict will do, too; the two options are ready to paste."""
    source, target = tmp_path / "a.th", tmp_path / "a.safetensors"
    torch.save(ResNet20().state_dict(), source)
    shown = CliRunner().invoke(main, [str(source), str(target)])
    assert shown.exit_code == 0
    assert f'weights = "{target}"' in shown.stdout
    assert f'weights_sha256 = "{sha256_of(target)}"' in shown.stdout


@pytest.mark.parametrize("held", [[1, 2], {"state_dict": {"conv1.weight": 3}}])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, held: object) -> None:
    """A file of other things is an error that names the right one; nothing is written."""
    source, target = tmp_path / "a.th", tmp_path / "a.safetensors"
    torch.save(held, source)
    with pytest.raises(DataError, match="not a table of named tensors"):
        convert(source, target)
    assert not target.exists()


def test_another_network_is_refused_by_the_command(tmp_path: Path) -> None:
    """Weights that do not fit end the command with the name of the first that is wrong."""
    source = tmp_path / "a.th"
    torch.save({"fc.weight": torch.zeros(2)}, source)
    shown = CliRunner().invoke(main, [str(source), str(tmp_path / "a.safetensors")])
    assert shown.exit_code == 1
    assert "is missing" in shown.output
    assert not (tmp_path / "a.safetensors").exists()
