"""The names of a new plugin: its module, namespace, component and class."""

import importlib.util
import keyword
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, final

from attrs import frozen

from dddm.errors import UsageError
from dddm.interfaces.plugin import Kind
from dddm.registry.loader import GROUP
from dddm.registry.registrar import is_name, namespace_of

PREFIX: Final = "dddm-"
"""The customary prefix of plugin packages; the namespace omits it."""

_DISTRIBUTION: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[-_.]+")


@final
@frozen(kw_only=True)
class Names:
    """The names of one new plugin.

    Attributes:
        distribution: the normalized name for pip: `dddm-charbonnier`.
        module: `dddm_charbonnier`.
        namespace: before the colon in a recipe: `charbonnier`.
        component: after the colon.
        class_name: of the component: `Charbonnier`.
    """

    kind: Kind
    distribution: str
    module: str
    namespace: str
    component: str
    class_name: str

    @property
    def id(self) -> str:
        """`namespace:component`."""
        return f"{self.namespace}:{self.component}"


def names_of(name: str, *, kind: Kind, component: str | None = None) -> Names:
    """All names that follow from the distribution's.

    Args:
        name: of the distribution; normalized, so that `Dddm_Focal` is `dddm-focal`.
        component: None for the namespace.

    Raises:
        UsageError: if it is invalid as the name of a distribution or module, or `component` is.
    """
    if not _DISTRIBUTION.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid package name",
            where="NAME",
            remedy="use ASCII letters, digits and hyphens, as in dddm-charbonnier",
        )
    distribution = _SEPARATORS.sub("-", name).lower()
    module = distribution.replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module):
        raise UsageError(
            f"Python cannot import a module named {module}",
            where="NAME",
            remedy=f"name the package {PREFIX}{distribution}",
        )
    namespace = distribution.removeprefix(PREFIX)
    component = namespace if component is None else component
    if not is_name(component):
        raise UsageError(
            f"{component!r} is not a valid name for a {kind.value}",
            where="--component",
            remedy="use lower-case words joined by hyphens, as in focal-l2",
        )
    return Names(
        kind=kind,
        distribution=distribution,
        module=module,
        namespace=namespace,
        component=component,
        class_name=_class_name(component, kind=kind),
    )


def _class_name(component: str, *, kind: Kind) -> str:
    """`focal-l2` → `FocalL2`; `MetricTensor` for a name that is invalid or used in the template."""
    name = _camel_case(component)
    templates = (Path(__file__).parent / "templates" / kind.value).rglob("*.py.j2")
    text = "\n".join(file.read_text("utf-8") for file in templates)
    statements = re.findall(r"^(?:class|(?:from \S+ )?import) (?:\([^)]*\)|.*)", text, re.MULTILINE)
    used = set(re.findall(r"\w+", " ".join(statements)))
    if name.isidentifier() and not keyword.iskeyword(name) and name not in used:
        return name
    return _camel_case(kind.value) + name


def _camel_case(words: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in words.split("-"))


def check_conflicts(names: Names) -> None:
    """Check that the package could be installed beside what is installed already.

    Raises:
        UsageError: if its namespace is another plugin's, or its module can be imported already.
    """
    for point in entry_points(group=GROUP):
        if namespace_of(point.name) == names.namespace:
            owner = "another package" if point.dist is None else point.dist.name
            raise UsageError(
                f"the namespace {names.namespace!r} belongs to {owner}, which is installed",
                where="NAME",
                remedy=_another_name(names, owner),
            )
    found = importlib.util.find_spec(names.module)
    # An empty folder of that name counts as a namespace package; the new one may be written there.
    if found is not None and found.origin is not None:
        raise UsageError(
            f"a module named {names.module} already exists",
            where=found.origin,
            remedy=_another_name(names, names.module),
        )


def _another_name(names: Names, owner: str) -> str:
    if owner == "dddm" or not names.distribution.startswith(PREFIX):
        return f"choose another name, such as {PREFIX}my-{names.namespace}"
    return f"choose another name, or uninstall {owner}"
