"""Writes docs/reference/: what a plugin author and a recipe's author look up, from the code itself.

python docs/reference.py

`plugins.md` has the hook and the registrar, `interfaces.md` what components implement, `support.md`
what they may use, `python.md` the names of `dddm` itself, `recipe.md` every table and option, and
`public-names.txt` the signature of every name that the promise of docs/plugin-api.md covers.
Sources are parsed, not imported, and torch is not needed.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, final

from attrs import frozen

from dddm.interfaces.plugin import API_VERSION, Kind
from dddm.recipe.layout import PLACES
from dddm.recipe.model import ReportedResult, SampleSettings, TrainSettings
from dddm.recipe.options import describe_options
from dddm.recipe.protocol import Protocol
from dddm.recipe.schema import schema_of
from dddm.recipe.write import inline
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = Path(__file__).parent / "reference"
WRITTEN: Final = "This page is written by `python docs/reference.py`.\n"

PROMISED: Final = ("__init__", "errors", "interfaces", "support")
"""Files and folders of `dddm/` whose public names plugins may use."""

EXPORTS: Final = ("dddm", "dddm.testing")
"""Packages of which they may use what the `__init__.py` imports, whichever file that is from."""

RECIPE: Final = ("Recipe", "Recipe.from_file", "Recipe.from_dict", "Recipe.name", "Recipe.seed",
                 "Recipe.tables", "Recipe.fingerprint")  # fmt: skip
"""What is promised of recipes: the objects that they hold are not."""

LONG: Final = 88
"""A declaration of more letters is broken at its arguments."""

UNCALLED: Final = (
    "__attrs_post_init__", "__repr__", "__str__", "__hash__", "__eq__", "__reduce__",
    "__getattr__", "__dir__",
)  # fmt: skip
"""Special methods that say nothing that a caller does not know."""

HOOKS: Final = "dddm/registry/hookspec.py"
INTERFACES: Final = (
    "objective", "schedule", "parametrization", "backbone", "metric", "target_store", "shards",
    "optimizer", "learning_rate", "dataset", "info", "data_report", "sampler", "features", "score",
    "measurement", "observer",
)  # fmt: skip
"""In the order of `dddm/interfaces/__init__.py`, each with what it alone needs behind it."""


@final
@frozen(kw_only=True)
class Name:
    """A public name of a module, as its source has it.

    Attributes:
        path: dotted, from its module on.
        line: how it is declared: a signature, a class with its bases, a field or a constant.
        doc: its docstring, without indentation.
        kind: `class`, `function`, `value` or `field`.
        node: its declaration.
    """

    path: str
    node: ast.stmt
    line: str
    doc: str
    kind: str


def names_of(file: Path) -> Iterator[Name]:
    """Public names that a module defines, each class followed by its members."""
    yield from _names(ast.parse(file.read_text(encoding="utf-8")).body, prefix="", within="value")


def _names(body: list[ast.stmt], *, prefix: str, within: str) -> Iterator[Name]:
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef) and _is_public(node.name):
            doc = ast.get_docstring(node) or ""
            yield _name(node, prefix, line=_signature(node), doc=doc, kind="function")
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            doc = ast.get_docstring(node) or ""
            yield _name(node, prefix, line=_class(node), doc=doc, kind="class")
            yield from _names(node.body, prefix=f"{prefix}{node.name}.", within="field")
        elif (line := _value(node)) is not None:
            yield Name(
                path=prefix + line.partition(":")[0].partition(" ")[0],
                node=node,
                line=line,
                doc=_text(following),
                kind=within,
            )


def _is_public(name: str) -> bool:
    """Whether callers use a function: by its name, or as a constructor or by an operator."""
    return not name.startswith("_") or (name.endswith("__") and name not in UNCALLED)


def _name(
    node: ast.ClassDef | ast.FunctionDef, prefix: str, *, line: str, doc: str, kind: str
) -> Name:
    return Name(path=prefix + node.name, node=node, line=line, doc=doc, kind=kind)


def _signature(node: ast.FunctionDef) -> str:
    marks = "".join(f"@{_last(ast.unparse(mark))} " for mark in node.decorator_list)
    returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    return f"{marks}{node.name}({ast.unparse(node.args)}){returns}"


def _class(node: ast.ClassDef) -> str:
    marks = "".join(f"@{_last(ast.unparse(mark))} " for mark in node.decorator_list)
    bases = ", ".join(map(ast.unparse, node.bases))
    return f"{marks}class {node.name}({bases})" if bases else f"{marks}class {node.name}"


def _last(mark: str) -> str:
    """A decorator without its module and its arguments."""
    return mark.partition("(")[0].rpartition(".")[2]


def _value(node: ast.stmt) -> str | None:
    """A constant or a field with its type and value; None for what is not public."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return None if name.startswith("_") else ast.unparse(node)
    return None


def _text(node: ast.stmt | None) -> str:
    """The text that stands behind a constant, if that is all that the statement is."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
    return ""


def _files() -> Iterator[tuple[str, Path]]:
    """Every module under the promise, with its dotted name."""
    for place in PROMISED:
        under = ROOT / "dddm" / place
        for file in sorted(under.rglob("*.py")) if under.is_dir() else [under.with_suffix(".py")]:
            parts = file.relative_to(ROOT).with_suffix("").parts
            if file.exists() and not any(
                part.startswith("_") and part != "__init__" for part in parts
            ):
                yield ".".join(part for part in parts if part != "__init__"), file


def _exported(package: str) -> Iterator[Name]:
    """What a package offers under its own name, with the members of its classes."""
    folder = ROOT.joinpath(*package.split("."))
    body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
    # Also under TYPE_CHECKING, for what is imported when it is first used.
    for node in [*body, *(inner for one in body if isinstance(one, ast.If) for inner in one.body)]:
        if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("dddm."):
            continue
        wanted = {alias.name for alias in node.names}
        for name in names_of(ROOT.joinpath(*str(node.module).split(".")).with_suffix(".py")):
            top = name.path.partition(".")[0]
            if top in wanted and (top != "Recipe" or name.path in RECIPE):
                yield name


def public_names() -> str:
    """One line for each public name: `module  Class.method(arguments) -> type`."""
    promised = [(module, name) for module, file in _files() for name in names_of(file)]
    exported = [(package, name) for package in EXPORTS for name in _exported(package)]
    lines = []
    for module, name in [*promised, *exported]:
        owner = name.path.rpartition(".")[0]
        # Behind the decorators.
        line = re.sub(r"^((?:@\w+ )*)", rf"\1{owner}.", name.line) if owner else name.line
        lines.append(f"{module}  {line}")
    return "\n".join(lines) + "\n"


_SECTION: Final = re.compile(
    r"^(Args|Returns|Raises|Attributes|Yields):\n((?:    .*\n|\n)*)", re.MULTILINE
)


def _markdown(doc: str) -> str:
    """A docstring: its sections become lists."""
    return _SECTION.sub(_list, doc.replace("*", "\\*") + "\n").strip()


def _list(match: "re.Match[str]") -> str:
    title, body = match[1], match[2]
    items = re.split(r"^    (?=\S)", body, flags=re.MULTILINE)[1:]
    lines = []
    for item in items:
        word, colon, text = " ".join(item.split()).partition(": ")
        named = colon and title not in {"Returns", "Yields"}
        lines.append(f"- `{word}`: {text}" if named else "- " + " ".join(item.split()))
    return f"{title}:\n\n" + "\n".join(lines) + "\n"


def _section(name: Name, *, level: int) -> str:
    """A name with its declaration and what its docstring says."""
    title = f"{'#' * level} `{name.path}`"
    return f"{title}\n\n```python\n{_code(name.node)}\n```\n\n{_markdown(name.doc)}\n"


def _code(node: ast.stmt) -> str:
    """A declaration, its decorators on lines of their own; if it is long, its arguments too."""
    if isinstance(node, ast.ClassDef):
        lines = [f"@{_last(ast.unparse(mark))}" for mark in node.decorator_list]
        bases = ", ".join(map(ast.unparse, node.bases))
        return "\n".join([*lines, f"class {node.name}({bases})" if bases else f"class {node.name}"])
    if isinstance(node, ast.FunctionDef):
        lines = [f"@{_last(ast.unparse(mark))}" for mark in node.decorator_list]
        returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
        line = f"def {node.name}({ast.unparse(node.args)}){returns}"
        if len(line) > LONG:
            arguments = "".join(f"    {one},\n" for one in _arguments(ast.unparse(node.args)))
            line = f"def {node.name}(\n{arguments}){returns}"
        return "\n".join([*lines, line])
    return ast.unparse(node)


def _arguments(inside: str) -> list[str]:
    """Arguments one by one; a comma within brackets ends none."""
    depth, pieces = 0, [""]
    for letter in inside:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [piece.strip() for piece in pieces]


def _fields(names: list[Name]) -> str:
    """Fields of a class, as code; what each is, its docstring says under Attributes."""
    return "```python\n" + "\n".join(name.line for name in names) + "\n```\n\n" if names else ""


def _module(file: Path, *, level: int = 3, without: tuple[str, ...] = ()) -> str:
    """The classes and functions of a module, and its constants."""
    names = [name for name in names_of(file) if name.path not in without]
    return _names_page(names, level=level)


def _names_page(names: list[Name], *, level: int) -> str:
    """A section for each, but for fields, which stand with their class."""
    sections = []
    for name in names:
        if name.kind == "field":
            continue
        section = _section(name, level=level + name.path.count("."))
        if name.kind == "class":
            own = [n for n in names if n.kind == "field" and n.path.startswith(f"{name.path}.")]
            head, fence, rest = section.partition("```\n\n")
            section = head + fence + _fields(own) + rest
        sections.append(section.rstrip() + "\n")
    return "\n".join(sections)


def plugins_page() -> str:
    """The hook and the registrar."""
    head = f"""\
# Hooks and the registrar

A package brings components into dddm by an entry point in group `dddm`, whose value is a module
that implements the hook below. This is version {API_VERSION} of the plugin interface;
[what that promises](../plugin-api.md). What each kind of component implements stands in
[interfaces](interfaces.md). {WRITTEN}
"""
    hooks = _module(ROOT / HOOKS, level=3, without=("hookspec",))
    registering = _module(ROOT / "dddm" / "interfaces" / "plugin.py", level=3)
    said = "## Registering\n\nFrom `dddm.interfaces.plugin`."
    return f"{head}\n## Hooks\n\n{hooks}\n{said}\n\n{registering}"


def python_page() -> str:
    """The names of `dddm` itself."""
    head = (
        "# Python reference\n\nThe names of `dddm`; [Python](../python.md) shows them at work. "
        f"{WRITTEN}"
    )
    return f"{head}\n{_names_page(list(_exported('dddm')), level=2)}"


def interfaces_page() -> str:
    """What components implement, kind by kind."""
    head = (
        "# Interfaces\n\nWhat components implement, file by file of `dddm/interfaces/`. Tensors "
        "are passed by name; their shapes stand in the text, B images of C channels, H rows and W "
        f"columns. {WRITTEN}"
    )
    parts = [head]
    for module in INTERFACES:
        file = ROOT / "dddm" / "interfaces" / f"{module}.py"
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        title = f"## dddm.interfaces.{module}"
        parts.append(f"{title}\n\n{_markdown(doc)}\n\n{_module(file)}")
    return "\n".join(parts)


def support_page() -> str:
    """What components may use beside the interfaces."""
    head = (
        "# Errors and support\n\nWhat a component may use beside the interfaces: the errors that "
        f"dddm shows in one line, and `dddm.support`, file by file. {WRITTEN}"
    )
    parts = [head]
    for module, file in _files():
        if not module.startswith(("dddm.errors", "dddm.support.")):
            continue
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        parts.append(f"## {module}\n\n{_markdown(doc)}\n\n{_module(file)}")
    return "\n".join(parts)


def _options_table(options: type[Any]) -> str:
    """Rows of name, type, default, bounds and help."""
    facts = describe_options(options)
    if not facts:
        return "No options.\n"
    rows = ["| Option | Type | Default | Bounds | |", "| --- | --- | --- | --- | --- |"]
    for one in facts:
        default = "required" if one.required else "left out"
        if not one.required and one.default is not None:
            default = f"`{inline(one.default)}`"
        cells = [f"`{one.name}`", one.type, default, one.bounds, one.help]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _keys_of(evaluate: dict[str, Any]) -> str:
    """What `[evaluate]` holds, as a list."""
    return "\n".join(
        f"- `{name}`: {evaluate['properties'][name]['description']}"
        for name in ("preset", "features", "scores", "baselines", "protocol")
    )


_BY_DEFAULT: Final = {
    Kind.OBSERVER: "Follows runs whose recipe names no observer.",
    Kind.SCORE: "Taken where `[evaluate]` names no scores.",
}


def recipe_page(catalogue: Catalogue) -> str:
    """Every table of a recipe: the core's, and those of the built-in components."""
    keys = schema_of(catalogue)["properties"]
    top = ["| Key | |", "| --- | --- |"] + [
        f"| `{name}` | {keys[name]['description']} |"
        for name in ("format", "name", "seed", "requires", "extends", "sweep", "training_seeds")
    ]
    parts = [
        f"""\
# Recipe reference

Every table and option of a recipe, with the built-in components. `dddm plugins show NAME` shows
the same for one component, built in or not. A float may be written as an integer; nothing else is
converted. An option whose default is "left out" is off, or follows from others as its text says.
Every table but `[data]` may be left out, or hold only what differs from
[what is chosen](../own-images.md#or-a-recipe-of-a-few-lines); *required* is an
option only beside `use`.
{WRITTEN}
## Keys at the top

"""
        + "\n".join(top)
        + "\n"
    ]
    evaluate = keys["evaluate"]
    protocol = evaluate["properties"]["protocol"]["description"]
    settings = {
        "[train]": ("Length, batch, precision, averages and checkpoints.", TrainSettings),
        "[[sample]], any sampler": ("Beside `use` and the sampler's own options.", SampleSettings),
        "[evaluate.protocol]": (protocol, Protocol),
        "[[reported]]": (
            "Published results of the recipe; they do not affect the run.",
            ReportedResult,
        ),
    }
    for title, (words, options) in settings.items():
        if options is Protocol:
            parts.append(f"## [evaluate]\n\n{_keys_of(evaluate)}\n")
        parts.append(f"## {title}\n\n{words}\n\n{_options_table(options)}")
    for kind in Kind:
        parts.append(f"## {PLACES[kind]}: {kind.value}\n")
        for one in catalogue.components(kind):
            by_default = f"  {_BY_DEFAULT[kind]}" if one.default else ""
            parts.append(
                f"### `{one.name}`, {kind.value}\n\n{one.summary}{by_default}\n\n"
                f"{_options_table(one.options)}"
            )
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """Every file of the reference, by its name."""
    ours = load_catalogue()
    built_in = Catalogue([one for one in ours.components() if one.package == "dddm"])
    return {
        "plugins.md": plugins_page(),
        "python.md": python_page(),
        "interfaces.md": interfaces_page(),
        "support.md": support_page(),
        "recipe.md": recipe_page(built_in),
        "public-names.txt": public_names(),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
