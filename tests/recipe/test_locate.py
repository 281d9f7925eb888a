"""The locator is proved against tomllib: it finds the same paths, and values where it says."""

import string
import tomllib
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from dddm.recipe.locate import Path, line_and_column, locate

keys = st.one_of(
    st.text(string.ascii_lowercase + "-_", min_size=1, max_size=4),
    st.text(min_size=0, max_size=4).filter(lambda s: "\r" not in s and _encodable(s)),
)
texts = st.text(max_size=12).filter(lambda s: "\r" not in s and _encodable(s))
plain = st.one_of(st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False), texts)
values = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=12,
)
documents = st.dictionaries(keys, values, max_size=5)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def paths_of(value: Any, path: Path = ()) -> set[Path]:
    """All paths of a value as tomllib reads it."""
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, item in value.items():
            found |= paths_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found |= paths_of(item, (*path, index))
    return found


def look_up(tables: Any, path: Path) -> Any:
    for key in path:
        tables = tables[key]
    return tables


def check(text: str) -> None:
    tables = tomllib.loads(text)
    places = locate(text)
    implicit = paths_of(tables) - places.keys()
    # A table that only stands in front of a dot in a header has no place of its own.
    assert all(isinstance(look_up(tables, path), dict) for path in implicit)
    assert places.keys() <= paths_of(tables)
    for path, place in places.items():
        value = look_up(tables, path)
        shown = text[place.value_start : place.value_end]
        if shown.startswith("[") and isinstance(value, dict):
            continue  # the place of a table is its header
        if isinstance(value, dict) or shown.startswith("[["):
            continue  # a table made by a dotted key stands where the key does
        assert tomllib.loads(f"value = {shown}")["value"] == value


@given(document=documents)
def test_every_value_is_found_in_what_a_writer_writes(document: dict[str, Any]) -> None:
    """Paths are those of tomllib, and the text at each place parses to the value."""
    check(tomli_w.dumps(document))


@given(document=documents, spaces=st.text(" \t", max_size=3), comment=st.booleans())
def test_spaces_and_comments_change_nothing(
    document: dict[str, Any],
    spaces: str,
    comment: bool,  # noqa: FBT001
) -> None:
    """The same values are found behind other white space and comments with brackets in them."""
    lines = []
    for key, value in document.items():
        head, equals, tail = tomli_w.dumps({key: value}).partition(" = ")
        if "\n" in head or not equals or isinstance(value, dict) or _has_tables(value):
            return
        end = f"{spaces}# ] }} = [x]\n" if comment else "\n"
        lines.append(f"{spaces}{head}{spaces}={spaces}{tail.rstrip(chr(10))}{end}")
    check("".join(lines))


def _has_tables(value: Any) -> bool:
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and any(_has_tables(item) for item in value)


EXOTIC = '''# a comment = [with] "everything"
"quoted key" = 1
'literal.key'.inner."third" = 0x1F   # behind it
a.b.c = 2
a.b.d = [ 1, # one
  2,
]
date = 1979-05-27T07:32:00Z
text = """
two "quotes"" and \\""" more
"""  # not the end
raw = \'\'\'C:\\no\'escape\'\'\'
empty = {}
inline = { x = 1, y.z = [ { p = "}" }, { p = \']\' } ], s = "#" }
[one]
k = -inf
[one.two]
[[list]]
x = 1
[list.sub]
y = 2
[[list.deep]]
z = 1
[[list]]
x = +3.5e-2
[[list.deep]]
z = 2
[[list.deep]]
z = true
'''


def test_exotic_but_valid() -> None:
    """Quoted and dotted keys, nested arrays of tables, multi-line strings, inline tables, dates."""
    check(EXOTIC)
    places = locate(EXOTIC)
    for path, shown in (
        (("list", 1, "deep", 1, "z"), "z = true"),
        (("a", "b", "d", 1), "2,"),
        (("inline", "y", "z", 1, "p"), "p = ']'"),
    ):
        assert EXOTIC[places[path].key_start :].startswith(shown)
    assert paths_of(tomllib.loads(EXOTIC)) == places.keys()


def test_a_value_is_marked_where_it_begins() -> None:
    """Line and column count from 1, the key's beside the value's."""
    text = "\n[t]\n  key  =   12 # x\n"
    place = locate(text)["t", "key"]
    assert line_and_column(text, place.key_start) == (3, 3)
    assert line_and_column(text, place.value_start) == (3, 12)
