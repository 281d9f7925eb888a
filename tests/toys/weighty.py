"""A catalogue of toy components that need files of weights."""

import hashlib
from typing import Any

from attrs import frozen

from dddm.interfaces.info import Measure, MemoryField, ObjectiveInfo, ScoreInfo
from dddm.interfaces.plugin import Kind, NestedComponent, WeightFile, nested_component, option
from dddm.registry.catalogue import Catalogue
from dddm.registry.registrar import PluginRegistrar

CONTENTS = {"small.pth": b"small", "large.pth": b"large one"}


def weight_file(name: str, *, url: str = "https://example.org/") -> WeightFile:
    """One of the two files."""
    content = CONTENTS[name]
    return WeightFile(
        name=name,
        url=url + name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


@frozen(kw_only=True)
class NetOptions:
    large: bool = option(default=False, help="Whether it needs the large file.")


@frozen(kw_only=True)
class MixOptions:
    of: NestedComponent = nested_component(Kind.METRIC, help="What it mixes.")


def remember(options: object) -> ObjectiveInfo:
    return ObjectiveInfo(memory=(MemoryField(name="estimate"),), estimate="estimate")


def needs(options: NetOptions) -> list[WeightFile]:
    return [weight_file("large.pth" if options.large else "small.pth")]


def measures(options: object) -> ScoreInfo:
    plain = Measure(name="plain", words="Plain", better="less", explained="how plain they are")
    return ScoreInfo(measures=(plain,), fewest_images=1)


def weighty_catalogue(*, url: str = "https://example.org/") -> Catalogue:
    """A metric that needs one of two files, one that holds another, and features that need one."""
    files = [weight_file(name, url=url) for name in CONTENTS]
    toy = PluginRegistrar(plugin="toy", package="toys", version="1")
    add: Any = toy.add
    add(Kind.METRIC, "net", target="x:X", summary=".", options=NetOptions, weights=files,
        needs=needs)  # fmt: skip
    add(Kind.METRIC, "mix", target="x:X", summary=".", options=MixOptions)
    add(Kind.FEATURES, "deep", target="x:X", summary=".", weights=files[:1])
    for kind in (
        Kind.DATASET, Kind.SCHEDULE, Kind.BACKBONE, Kind.TARGET_STORE, Kind.SAMPLER,
        Kind.OPTIMIZER, Kind.LEARNING_RATE,
    ):  # fmt: skip
        add(kind, "plain", target="x:X", summary=".")
    add(Kind.OBJECTIVE, "plain", target="x:X", summary=".", describe=remember)
    add(Kind.SCORE, "plain", target="x:X", summary=".", describe=measures, default=True)
    return Catalogue(toy.components)
