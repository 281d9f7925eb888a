"""`--preset gpu`: what lets any recipe use all of a GPU, as overrides below those of the user.

    bfloat16         the network computes in it; weights, averages, loss and samples stay float32
    tf32             float32 products of a step, as in LPIPS, round their inputs to 10 bits
    compile          the whole step
    channels last    where the network has the option
    on the device    training images and target store
    micro-batches    as large as its memory has room for

An objective that needs forward-mode derivatives can have only the second and the last of them.
So its results are another rounding of the recipe's, and another dropout.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dddm.recipe.model import Recipe
from dddm.recipe.sweep import read_recipe_or_sweep
from dddm.registry.catalogue import Catalogue


def with_gpu_preset(
    recipe: str | Path, *, overrides: Sequence[str], catalogue: Catalogue
) -> tuple[str, ...]:
    """The preset's overrides for `recipe`, then the given ones, which win.

    Raises:
        RecipeError: if the recipe is wrong without the preset.
        PluginError: if plugins alone are at fault.
    """
    read = read_recipe_or_sweep(recipe, overrides=overrides, catalogue=catalogue)
    return (*_overrides(read if isinstance(read, Recipe) else read.base), *overrides)


def _overrides(recipe: Recipe) -> Iterator[str]:
    yield "train.tf32=true"
    yield "train.data_on_device=true"
    if recipe.train.accumulation_steps == 1:
        yield 'train.accumulation_steps="auto"'
    if recipe.needs.derivatives == 0:
        yield 'train.precision="bfloat16"'
        yield "train.compile=true"
        if hasattr(recipe.backbone.options, "channels_last"):
            yield "backbone.channels_last=true"
    targets = recipe.targets
    if targets is None or not targets.component.is_builtin:
        return
    if hasattr(targets.options, "place"):
        yield 'targets.place="device"'
    else:
        yield f'targets={{use="device",precision="{targets.options.precision}"}}'
