"""How far estimates moved, as manifests note it, whole or damaged."""

from typing import Any

import pytest
import torch

from dddm.generate.sample_files import Samples
from dddm.report.run_page.changes import Change, change_of

NOTED = {"steps": [1.0, 2.0, 5.0], "median": [0.9, 0.1, 0.0], "largest": [1.5, 0.5, 0.2]}


def samples(noted: Any) -> Samples:
    """A set whose manifest notes this."""
    images = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    return Samples(images=images, label=None, facts={"change_of_estimate": noted})


def test_what_sampling_notes_is_read() -> None:
    """Steps become whole numbers, the rest stays as it is."""
    assert change_of(samples(NOTED)) == Change(
        steps=(1, 2, 5), median=(0.9, 0.1, 0.0), largest=(1.5, 0.5, 0.2)
    )


@pytest.mark.parametrize(
    "noted",
    [
        None,
        "much",
        {},
        NOTED | {"median": [0.9, 0.1]},
        NOTED | {"median": [0.9, "0.1", 0.0]},
        NOTED | {"largest": [1.5, float("nan"), 0.2]},
        NOTED | {"largest": [1.5, -0.5, 0.2]},
        NOTED | {"steps": [2.0, 1.0, 5.0]},
        NOTED | {"steps": [0.0, 1.0, 5.0]},
        {"steps": [], "median": [], "largest": []},
    ],
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(noted: Any) -> None:
    """A manifest that was edited or damaged costs the chart alone."""
    assert change_of(samples(noted)) is None
