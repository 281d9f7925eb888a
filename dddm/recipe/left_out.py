"""Fills in tables that a recipe leaves out: by its images, and by what its objective goes with.

Every table but `[data]` may be left out.  A recipe without `[schedule]` has its whole method
chosen: objective, path, learning rate, samples and scores.  Otherwise only what nothing works
without is: the network, the metric, the length and the batch of training.

What is chosen is laid under what is written, as a recipe under one that extends it, so that its
keys may be changed one by one.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, final

from dddm.errors import DataError
from dddm.interfaces.info import DatasetInfo, ObjectiveInfo
from dddm.recipe import choices
from dddm.recipe.choices import Images
from dddm.recipe.layout import COMPONENT_TABLES, DURATIONS, LONGEST_NAME
from dddm.recipe.locate import Path
from dddm.recipe.merge import Node, merge
from dddm.recipe.model import ComponentConfig
from dddm.recipe.reader import Reader


def with_name(root: Node) -> Node:
    """The recipe with a name: by default that of its file, or of its data set."""
    if "name" in root.table:
        return root
    source, reason = root.origin.source, "default: the name of the file"
    if source is not None:
        name = source.file.stem
    else:
        use = root.find(("data", "use"))[0].value
        name, reason = f"my-{use}", "default: the name of the data set"
    return Node({"name": Node.from_words(folder_name(name), reason), **root.table}, root.origin)


def folder_name(text: str) -> str:
    """A name for a recipe and its folder: letters, digits, '.', '_' and '-'."""
    kept = re.sub(r"[^A-Za-z0-9._-]", "-", text).strip("._-")
    return kept[: LONGEST_NAME // 2] or "images"


def info_of(
    reader: Reader, path: Path, data: ComponentConfig, *, look: bool = False
) -> DatasetInfo | None:
    """What is known of a data set; a problem for each thing that is wrong with its files.

    Args:
        look: whether to look at its files if it says nothing of itself.
    """
    said, surveys = reader.ask(path, data.info, DatasetInfo), reader.surveys
    if not (surveys.every or (said is None and (look or surveys.has(data)))):
        return said
    survey = reader.ask(path, surveys.of, data)
    if survey is None:
        return said
    for issue in survey.issues:
        at = (*path, issue.option)
        if not any(one.what == issue.what for one in reader.problems):
            reader.add_problem(
                issue.what, path=at, remedy=issue.remedy, of_data=True, at_value=True
            )
    return survey.info or said


@final
class LeftOut:
    """Fills in what one recipe leaves out."""

    def __init__(self, reader: Reader, data: ComponentConfig | None) -> None:
        self._reader = reader
        self._data = data
        self._whole = not self._uses("schedule")
        self._images: Images | None = None

    def fill_objective(self) -> None:
        """Choose an objective where neither it nor a path or anything of DDDM's is written."""
        named = any(name in self._reader.tables for name in ("metric", "targets"))
        if self._whole and not self._uses("objective") and not named:
            images = self._look()
            if images is not None:
                reason = f"default: one-step images; for {_of(images)}"
                self._lay_under("objective", choices.drifting(images), reason)

    def fill(self, needs: ObjectiveInfo, *, objective: str) -> None:
        """Choose what else is left out.

        Args:
            needs: of the objective.
            objective: its name.
        """
        images = self._look() if any(self._lacks(needs)) else None
        if images is None:
            return
        for_images, goes_with = f"default for {_of(images)}", f"default, goes with {objective}"
        if self._whole:
            self._fill_method(images, needs, for_images, goes_with)
        if needs.metric and not self._uses("metric"):
            own = needs.usual.get("metric")
            table, reason = (own, goes_with) if own else (choices.pseudo_huber(images), for_images)
            self._lay_under("metric", table, reason)
        if not self._uses("backbone"):
            self._fill_backbone(images, needs, for_images)
        self._fill_train(images, needs, for_images)
        if self._whole and "evaluate" not in self._reader.tables:
            self._lay_under("evaluate", {}, for_images)
        if self._lacks_features():
            features = choices.features(data=self._table("data"))
            reason = "default: no loss is computed in them; they see shapes and not what they show"
            self._lay_under("evaluate", {"features": features}, reason)

    def _fill_method(
        self, images: Images, needs: ObjectiveInfo, for_images: str, goes_with: str
    ) -> None:
        """The path, the learning rate and the samples."""
        usual, tables = needs.usual, self._reader.tables
        path = {"use": "vp", "timesteps": 1000}
        self._lay_under("schedule", usual.get("schedule", path), goes_with)
        if "parametrization" in usual and "parametrization" not in tables:
            self._lay_under("parametrization", usual["parametrization"], goes_with)
        self._lay_under("learning_rate", choices.learning_rate(images, needs=needs), for_images)
        if "sample" not in tables:
            sample = usual.get("sample") or [choices.sampler(needs)]
            self._lay_under("sample", sample, goes_with)

    def _fill_backbone(self, images: Images, needs: ObjectiveInfo, for_images: str) -> None:
        try:
            table = choices.backbone(images, needs=needs) | dict(needs.usual.get("backbone", {}))
        except DataError as error:
            self._reader.incomplete = True
            self._reader.add_problem(error.what, path=("data",), remedy=error.remedy, of_data=True)
        else:
            self._lay_under("backbone", table, for_images)

    def _lacks(self, needs: ObjectiveInfo) -> list[bool]:
        """Whether each of what is chosen here is left out."""
        train = self._table("train")
        return [
            self._whole,
            not self._uses("backbone"),
            needs.metric and not self._uses("metric"),
            "batch_images" not in train,
            not set(DURATIONS) & set(train),
            self._lacks_features(),
        ]

    def _lacks_features(self) -> bool:
        """Whether scores are asked for, and not in which features."""
        evaluate = self._reader.tables.get("evaluate")
        if not isinstance(evaluate, Mapping) or "preset" in evaluate:
            return False
        features = evaluate.get("features", {})
        return isinstance(features, Mapping) and "use" not in features

    def _fill_train(self, images: Images, needs: ObjectiveInfo, for_images: str) -> None:
        """Its length and batch; the rest only where nothing is written, or the method is chosen."""
        table = choices.train(images, needs=needs) | dict(needs.usual.get("train", {}))
        steps = table.pop("steps")
        if not (self._whole or "train" not in self._reader.tables):
            table = {"batch_images": table["batch_images"]}
        if not set(DURATIONS) & set(self._table("train")):
            reason = "default: a first impression; more are better, and `dddm init` measures how "
            self._lay_under("train", {"steps": steps}, f"{reason}many this machine makes")
        self._lay_under("train", table, for_images)

    def _look(self) -> Images | None:
        """The images; None, with a problem, where nothing is known of them."""
        if self._images is not None or self._reader.incomplete:
            return self._images
        info = None
        if self._data is not None:
            info = info_of(self._reader, ("data",), self._data, look=True)
        if info is None:
            self._reader.incomplete = True
            if not self._reader.problems:
                self._reader.add_problem(
                    "the size and number of the images are not known before they are read, and "
                    "what the recipe leaves out depends on them",
                    path=("data",),
                    remedy="write the tables [objective], [schedule], [backbone] and [train], as "
                    "in `dddm show digits`",
                )
        elif info.train_images < choices.FEWEST_IMAGES:
            self._reader.incomplete = True
            self._reader.add_problem(
                f"there are {info.train_images} training images, too few to learn from",
                path=("data",),
                remedy=f"collect {choices.FEWEST_IMAGES} or more; hundreds are better",
                of_data=True,
            )
        else:
            self._images = Images.of(info)
        return self._images

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self._reader.tables.get(name)
        return table if isinstance(table, Mapping) else {}

    def _uses(self, name: str) -> bool:
        """Whether a table names its component, or is not a table and refused for that."""
        table = self._reader.tables.get(name)
        return table is not None and (not isinstance(table, Mapping) or "use" in table)

    def _lay_under(self, name: str, table: Any, reason: str) -> None:
        """Lay a table under what is written of it, unless that names its own component."""
        root = self._reader.root
        if name in COMPONENT_TABLES and self._uses(name):
            return
        if not all(self._known(use) for use in _uses_of(table)):
            return
        chosen = Node.from_words(_with_ids(table), reason)
        own = root.table.get(name)
        laid = chosen if own is None else merge(chosen, own, (name,))
        self._reader.replace(Node({**root.table, name: laid}, root.origin))

    def _known(self, use: str) -> bool:
        """Whether a component is installed: dddm's own may be disabled."""
        return any(one.id == _id(use) for one in self._reader.catalogue.components())


def _id(use: str) -> str:
    return use if ":" in use else f"dddm:{use}"


def _with_ids(value: Any, key: str = "") -> Any:
    """Tables as they are, with the full ids of what they use: a bare name may not be unique."""
    if isinstance(value, Mapping):
        return {name: _with_ids(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_ids(item, key) for item in value]
    return _id(value) if isinstance(value, str) and key in {"use", "features"} else value


def _uses_of(value: Any) -> Iterator[str]:
    """The components that a table uses, at any depth."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str) and name in {"use", "features"}:
                yield item
            yield from _uses_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from _uses_of(item)


def _of(images: Images) -> str:
    info = images.info
    classes = f" in {len(info.classes):,} classes" if images.uses_classes else ""
    return f"{info.train_images:,} images of {info.shape}{classes}"
