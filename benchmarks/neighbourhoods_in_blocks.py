"""Precision, recall and their kin of many images: time and memory, with all distances in blocks.

    python benchmarks/neighbourhoods_in_blocks.py [--generated 50000] [--real 10000]

Features are random: half-normal, as pooled activations are, around centres that stand for classes.
Extraction is no part of it.  It prints what stands in RESULTS.md; the most memory is the process's,
with the features themselves, which are kept in float32 and, while they are compared, in float64.
"""

import resource
import time

import click
import torch
from torch import Tensor

from dddm_scores.neighbourhoods import compare_neighbourhoods, neighbourhoods_of


def features_of(count: int, dimensions: int, *, seed: int) -> Tensor:
    """(count, dimensions), float32, at least 0."""
    lot = torch.Generator().manual_seed(seed)
    centres = torch.rand(100, dimensions, generator=torch.Generator().manual_seed(0))
    found = torch.empty(count, dimensions)
    # In parts, so that the memory that is measured is that of scoring.
    for part in torch.split(found, 1000):
        kind = torch.randint(100, (len(part),), generator=lot)
        noise = torch.randn(part.shape, generator=lot)
        part.copy_(centres[kind].add_(noise, alpha=0.3).clamp_(min=0))
    return found


@click.command()
@click.option("--generated", default=50_000, show_default=True)
@click.option("--real", default=10_000, show_default=True)
@click.option("--features", default=2048, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(generated: int, real: int, features: int, threads: int) -> None:
    """Print a row of the table."""
    torch.set_num_threads(threads)
    one = features_of(generated, features, seed=1)
    other = features_of(real, features, seed=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    began = time.perf_counter()
    found = compare_neighbourhoods(neighbourhoods_of(one), neighbourhoods_of(other))
    seconds = time.perf_counter() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    heads = (
        "generated",
        "real",
        "features",
        "wall s",
        "GB before",
        "most GB",
        "precision",
        "recall",
    )
    print("| " + " | ".join(heads) + " |")
    print("|" + " ---: |" * len(heads))
    cells = [f"{generated:,}", f"{real:,}", f"{features:,}", f"{seconds:.0f}"]
    cells += [f"{before:.2f}", f"{most:.2f}", f"{found.precision:.3f}", f"{found.recall:.3f}"]
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
