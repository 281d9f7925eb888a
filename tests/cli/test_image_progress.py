"""Progress over many images is a line now and then."""

from dddm.cli.image_progress import progress_lines


def test_lines_come_every_few_seconds() -> None:
    """Nothing of work that ends at once, and numbers one can read."""
    written: list[str] = []
    now = 0.0
    show = progress_lines(written.append, clock=lambda: now)
    for done in range(0, 12_000, 1000):
        show("packing", done, 12_000)
        now += 1
    assert written == [
        "packing: 5,000 of 12,000 images\n", "packing: 10,000 of 12,000 images\n",
    ]  # fmt: skip
    now += 10
    show("waiting", 0, 0)
    assert written[-1] == "waiting\n"
