"""Single components from Python: `dddm.build("schedule", "vp", {"timesteps": 1000})`."""

from collections.abc import Mapping, Sequence
from typing import Any

from dddm.errors import UsageError
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.recipe.read import read_component
from dddm.recipe.source import nearest
from dddm.registry.loader import load_catalogue


def build(kind: str, name: str, options: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
    """Make a component, which `dddm plugins` lists: a schedule, a network, a metric, a sampler.

    Args:
        kind: `schedule`, `backbone`, `parametrization`, `metric`, `dataset`, `sampler`, or another.
        name: an id, or a name that is unique in its kind.
        options: as in its table of a recipe.
        arguments: what components of its kind are called with beside the options, by
            `dddm.interfaces`: a backbone `shape`, here also a tuple (C, H, W), and `classes`, the
            number of them; a parametrization `schedule`; an optimizer `parameters`.

    Returns:
        an instance of the kind's class in `dddm.interfaces`.

    Raises:
        UsageError: if there is no such kind, or an option does not fit.
        PluginError: if there is no such component, or it cannot be loaded.
        TypeError: if an argument is missing or unknown.
    """
    kinds = {one.value: one for one in Kind}
    if kind not in kinds:
        raise UsageError(f"there is no kind {kind!r}", where="kind", remedy=nearest(kind, kinds))
    config = read_component(kinds[kind], name, options=options or {}, catalogue=load_catalogue())
    if "shape" in arguments:
        arguments["shape"] = as_image_shape(arguments["shape"])
    return config.instantiate(**arguments)


def as_image_shape(shape: ImageShape | Sequence[int]) -> ImageShape:
    """(C, H, W) by name.

    Raises:
        UsageError: if it has not three entries.
    """
    if isinstance(shape, ImageShape):
        return shape
    try:
        channels, height, width = map(int, shape)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"shape is {shape!r}; it must be (channels, height, width)", where="shape"
        ) from error
    return ImageShape(channels=channels, height=height, width=width)
