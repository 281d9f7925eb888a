"""The list of tests that need built-ins; what it says of each file, `pytest --alone` proves."""

from standing_alone import FOLDERS, NEEDS_BUILT_INS, TESTS


def test_every_file_on_the_list_is_a_test_of_the_core() -> None:
    """None that is gone, and none of the built-ins' own."""
    assert all((TESTS / place).is_file() for place in NEEDS_BUILT_INS)
    assert {place.partition("/")[0] for place in NEEDS_BUILT_INS} <= FOLDERS
