"""A manifest is equal exactly where the data are."""

import torch

from dddm.support.manifest import manifest_of

IMAGES = torch.arange(24, dtype=torch.uint8).reshape(2, 1, 3, 4)
LABELS = torch.tensor([0, 1])


def test_equal_data_have_one_manifest() -> None:
    turned = IMAGES.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert manifest_of(images=turned, labels=LABELS) == manifest_of(images=IMAGES, labels=LABELS)


def test_any_difference_shows() -> None:
    """A pixel, the shape, a label, the order or absent labels change the manifest."""
    changed = IMAGES.clone()
    changed[1, 0, 2, 3] = 0
    manifests = {
        manifest_of(images=images, labels=labels)
        for images, labels in (
            (IMAGES, LABELS),
            (changed, LABELS),
            (IMAGES.reshape(2, 1, 4, 3), LABELS),
            (IMAGES.flip(0), LABELS),
            (IMAGES, torch.tensor([0, 2])),
            (IMAGES, None),
        )
    }
    assert len(manifests) == 6
