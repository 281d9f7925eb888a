"""The import order of packages, and that every class is abstract or final.

A package of `dddm/` imports only itself and packages before it, in the order

    errors ← support ← interfaces ← data ← core ← registry ← recipe ← testing ← training ← generate
      ← evaluate ← report ← workflow ← scaffold ← cli

also inside functions and under TYPE_CHECKING.  No package imports a plugin package, and a plugin
package imports of `dddm` only `interfaces`, `data`, `support` and `errors`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "dddm").rglob("*.py"))
PACKAGES = {file.parent.name for file in (ROOT / "plugins").glob("*/__init__.py")}
PLUGINS = sorted(file for name in PACKAGES for file in (ROOT / "plugins" / name).rglob("*.py"))

ORDER = (
    "errors", "support", "interfaces", "data", "core", "registry", "recipe", "testing", "training",
    "generate", "evaluate", "report", "workflow", "scaffold", "cli",
)  # fmt: skip
RANK = {package: rank for rank, package in enumerate(ORDER)}
FOR_PLUGINS = {"errors", "interfaces", "support", "data"}

OPEN = {
    "DddmError": "the base of all errors that a user can meet",
    "Event": "the base of all events",
    "ComparisonOptions": "options that all objectives have which compare sets",
    "ComparesSets": "the base of these; it leaves open what Objective leaves open",
    "ImageOptions": "options that all data sets have which decode images",
    "OnPath": "the base of objectives that draw t and ε; likewise",
}
"""Classes that are derived from and leave no method open, with the reason."""


def imports(source: str, *, package: str) -> Iterator[str]:
    """Every name that a module of `package` imports, dotted: `from a.b import c` as a.b.c."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports_of(file: Path, *, under: Path) -> set[str]:
    package = ".".join(file.relative_to(under).parent.parts)
    return set(imports(file.read_text(encoding="utf-8"), package=package))


def package_of(name: str) -> str | None:
    """The package of `dddm/` that a dotted name is in; None for other names."""
    top, _, rest = name.partition(".")
    package = rest.partition(".")[0]
    return package if top == "dddm" and package in RANK else None


def forbidden_imports(file: str, imported: set[str]) -> set[str]:
    """What a file of the core, by its path under `dddm/`, imports from packages behind its own."""
    rank = RANK[Path(file).parts[0].removesuffix(".py")]
    return {
        name for name in imported if (found := package_of(name)) is not None and RANK[found] > rank
    }


def packages_of(imported: set[str]) -> set[str]:
    """Top-level packages of what is imported."""
    return {name.partition(".")[0] for name in imported}


def loose_classes(source: str) -> list[str]:
    """Names of classes that are neither final, nor abstract, nor listed as open."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        and node.name not in OPEN
        and not _is_final(node)
        and not _is_abstract(node)
    ]


def _is_final(node: ast.ClassDef) -> bool:
    names = {mark.id for mark in node.decorator_list if isinstance(mark, ast.Name)}
    return "final" in names


def _is_abstract(node: ast.ClassDef) -> bool:
    """Whether it derives from ABC and leaves something open, or is a Protocol."""
    if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
        return True
    from_abc = any(isinstance(base, ast.Name) and base.id == "ABC" for base in node.bases)
    marks = {
        mark.id
        for part in node.body
        if isinstance(part, ast.FunctionDef)
        for mark in part.decorator_list
        if isinstance(mark, ast.Name)
    }
    return from_abc and "abstractmethod" in marks


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_every_package_has_a_rank() -> None:
    """A new folder of `dddm/` gets its place in the order, and in this test, when it is made."""
    tops = {file.relative_to(ROOT / "dddm").parts[0].removesuffix(".py") for file in CORE}
    assert tops == {*RANK, "__init__", "__main__"}


@pytest.mark.parametrize(
    "file", [f for f in CORE if f.name != "__main__.py" and f.parent.name != "dddm"], ids=place
)
def test_a_package_imports_only_those_before_it(file: Path) -> None:
    """Imports go one way, wherever in a file they stand."""
    inside = file.relative_to(ROOT / "dddm").as_posix()
    assert forbidden_imports(inside, imports_of(file, under=ROOT)) == set()


def test_errors_know_nobody() -> None:
    """`errors` imports nothing of dddm."""
    imported = imports_of(ROOT / "dddm" / "errors.py", under=ROOT)
    assert {name for name in imported if package_of(name)} == set()


def test_dddm_itself_imports_no_package() -> None:
    """Importing `dddm` imports nothing of ours: `dddm.load` does, when it is called."""
    tree = ast.parse((ROOT / "dddm" / "__init__.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = set(imports(ast.unparse(tree), package="dddm"))
    assert {name for name in imported if package_of(name)} == set()


@pytest.mark.parametrize("file", CORE, ids=place)
def test_the_core_knows_no_plugin(file: Path) -> None:
    """No file of `dddm/` imports a plugin package, nor names one to import it later."""
    assert packages_of(imports_of(file, under=ROOT)) & PACKAGES == set()
    words = {
        node.value.partition(".")[0].partition(":")[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert words & PACKAGES == set()


@pytest.mark.parametrize("file", PLUGINS, ids=place)
def test_a_plugin_imports_what_third_parties_may(file: Path) -> None:
    """Interfaces, data, support, errors and its own package, as for third parties."""
    imported = imports_of(file, under=ROOT / "plugins")
    own = file.relative_to(ROOT / "plugins").parts[0]
    assert packages_of(imported) & PACKAGES <= {own}
    of_the_core = {name for name in imported if name.partition(".")[0] == "dddm"}
    assert {name for name in of_the_core if package_of(name) not in FOR_PLUGINS} == set()


@pytest.mark.parametrize("file", [*CORE, *PLUGINS], ids=place)
def test_a_class_is_abstract_or_final(file: Path) -> None:
    """To vary behaviour one wraps or composes; nothing that can be made is derived from."""
    assert loose_classes(file.read_text(encoding="utf-8")) == []


def test_an_open_class_is_derived_from() -> None:
    """The list of exceptions holds no name that is gone, or that could be final."""
    bases = {
        base.id
        for file in (*CORE, *PLUGINS)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    assert set(OPEN) <= bases


@pytest.mark.parametrize(
    ("file", "source", "found"),
    [
        ("recipe/a.py", "import dddm.training.run_folder", {"dddm.training.run_folder"}),
        ("recipe/a.py", "from dddm import training", {"dddm.training"}),
        (
            "recipe/a.py",
            "def f():\n    from dddm.cli.commands import dddm",
            {"dddm.cli.commands.dddm"},
        ),
        ("recipe/a.py", "from ..training import loop", {"dddm.training.loop"}),
        (
            "recipe/a.py",
            "if TYPE_CHECKING:\n    from dddm.training import run_folder",
            {"dddm.training.run_folder"},
        ),
        ("recipe/a.py", "from dddm.registry import loader\nfrom . import b", set()),
        ("support/a.py", "from dddm.interfaces import info", {"dddm.interfaces.info"}),
        ("support/a.py", "from dddm.core import ema", {"dddm.core.ema"}),
        ("errors.py", "import dddm.support.files", {"dddm.support.files"}),
    ],
)
def test_a_wrong_import_would_be_found(file: str, source: str, found: set[str]) -> None:
    """The rule is sharp: each way to write an import is read."""
    package = ".".join(["dddm", *Path(file).parent.parts])
    assert forbidden_imports(file, set(imports(source, package=package))) == found


@pytest.mark.parametrize(
    ("source", "loose"),
    [
        ("class A: pass", ["A"]),
        ("@final\nclass A: pass", []),
        ("class A(ABC): pass", ["A"]),
        ("class A(ABC):\n    @abstractmethod\n    def f(self): ...", []),
        ("class A(ABC):\n    @property\n    @abstractmethod\n    def f(self): ...", []),
        ("@frozen(kw_only=True)\nclass A: pass", ["A"]),
        ("class A(ValueError): pass", ["A"]),
        ("def f():\n    class A: pass", ["A"]),
    ],
)
def test_a_loose_class_would_be_found(source: str, loose: list[str]) -> None:
    """The rule is sharp: a class that only calls itself abstract is not."""
    assert loose_classes(source) == loose
