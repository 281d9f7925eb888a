"""Converts a checkpoint of torch into the file that the features `resnet20` read.

    python -m dddm_features.convert_resnet20 resnet20-12fca82f.th resnet20.safetensors

The checkpoint is pretrained_models/resnet20-12fca82f.th of akamaster/pytorch_resnet_cifar10.  It is
read with `weights_only=True`, so nothing in it is run.  The bytes of the new file, and its hash,
depend on the version of safetensors and may differ from the known file: name the file together with
its hash, as printed.
"""

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from safetensors.torch import save
from torch import Tensor

from dddm.errors import DataError, DddmError
from dddm.support.files import atomic_write, sha256_of
from dddm_features.resnet20 import resnet20_with


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights by name: `module.`, which DataParallel puts before each, is taken off.

    Raises:
        DataError: if the file is not a checkpoint of torch.
    """
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise _no_checkpoint(path) from error
    state = held.get("state_dict", held) if isinstance(held, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise _no_checkpoint(path)
    return {
        name.removeprefix("module."): value.contiguous()
        for name, value in state.items()
        if not name.endswith(".num_batches_tracked")
    }


def _no_checkpoint(path: Path) -> DataError:
    return DataError(
        f"{path.name} holds no named tensors, as torch saves them",
        where=str(path),
        remedy="take pretrained_models/resnet20-12fca82f.th of akamaster/pytorch_resnet_cifar10",
    )


def convert(source: Path, target: Path) -> str:
    """Write `target`; its SHA-256, in hexadecimal.

    Raises:
        DataError: if the checkpoint cannot be read, or does not fit ResNet-20.
    """
    weights = read_checkpoint(source)
    resnet20_with(weights, path=source)
    atomic_write(target, partial(_put_bytes, contents=save(weights)))
    return sha256_of(target)


def _put_bytes(path: Path, *, contents: bytes) -> None:
    path.write_bytes(contents)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def main(source: Path, target: Path) -> None:
    """Convert torch's checkpoint SOURCE into safetensors at TARGET."""
    try:
        digest = convert(source, target)
    except DddmError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f'weights = "{target}"\nweights_sha256 = "{digest}"')


if __name__ == "__main__":
    main()
