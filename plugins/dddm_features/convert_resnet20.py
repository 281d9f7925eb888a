"""Converts a torch checkpoint of ResNet-20 into the file that the features `resnet20` read.

    python -m dddm_features.convert_resnet20 resnet20-12fca82f.th resnet20.safetensors

The checkpoint is pretrained_models/resnet20-12fca82f.th of akamaster/pytorch_resnet_cifar10.  The
hash of the new file may depend on the version of safetensors: name the file together with its hash,
as printed.
"""

from pathlib import Path

import click
from safetensors.torch import save_file

from dddm.errors import DddmError
from dddm.support.files import atomic_write, sha256_of
from dddm.support.state_dict import read_state_dict
from dddm_features.resnet20 import resnet20_with


def convert(source: Path, target: Path) -> str:
    """Write `target`; its SHA-256, in hexadecimal.

    Raises:
        DataError: if the checkpoint cannot be read, or does not fit ResNet-20.
    """
    remedy = "use pretrained_models/resnet20-12fca82f.th of akamaster/pytorch_resnet_cifar10"
    weights = {
        name.removeprefix("module."): value.contiguous()  # DataParallel's prefix
        for name, value in read_state_dict(source, remedy=remedy).items()
        if not name.endswith(".num_batches_tracked")
    }
    resnet20_with(weights, path=source)
    atomic_write(target, lambda path: save_file(weights, path))
    return sha256_of(target)


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
