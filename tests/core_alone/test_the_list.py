"""What the list of tests that need built-ins says of itself; `pytest --alone` proves the rest."""

import ast

import pytest
from standing_alone import BUILT_INS, IMPORTS, NEEDS_BUILT_INS, ROOMS, TESTS, place_of

FILES = [
    place_of(file)
    for file in sorted(TESTS.rglob("test_*.py"))
    if place_of(file).partition("/")[0] in ROOMS
]
TOYS = {file.stem for file in (TESTS / "toys").glob("*.py")}


def imported(place: str) -> set[str]:
    """Top-level packages that a file of the tests imports, through the toys that it imports too."""
    tree = ast.parse((TESTS / place).read_text(encoding="utf-8"))
    names = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    toys = (names & TOYS) - {place.removeprefix("toys/").removesuffix(".py")}
    return names.union(*(imported(f"toys/{toy}.py") for toy in toys))


def test_every_file_on_the_list_is_a_test_of_the_core() -> None:
    """None that is gone, and none of the built-ins' own."""
    assert NEEDS_BUILT_INS.keys() <= set(FILES)


@pytest.mark.parametrize("place", FILES)
def test_a_file_imports_a_built_in_where_the_list_says_so(place: str) -> None:
    """Such a file cannot be tried without built-ins, so what it imports is read."""
    assert bool(imported(place) & BUILT_INS) == (NEEDS_BUILT_INS.get(place) == IMPORTS)
