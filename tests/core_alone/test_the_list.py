"""The list of tests that need built-ins; what it says of each file, `pytest --alone` proves."""

from standing_alone import FOLDERS, IMPORT, NEEDS_BUILT_INS, TESTS


def test_every_file_on_the_list_is_a_test_of_the_core() -> None:
    """None of the built-ins' own, and none that is gone, nor the test that it names."""
    assert {place.partition("/")[0] for place in NEEDS_BUILT_INS} <= FOLDERS
    for place, name in NEEDS_BUILT_INS.items():
        text = (TESTS / place).read_text(encoding="utf-8")
        assert name == IMPORT or f"\ndef {name}(" in text, place
