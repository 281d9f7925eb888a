"""All scores are torch-fidelity's on the same images; the Inception Score is its formula."""

from typing import Any

import numpy as np
import pytest
import torch

from dddm.support.torchvision_operators import import_torchvision
from dddm_scores import fidelity
from dddm_scores.kernel import kernel_distance
from dddm_scores.options import SPLITS


def logits(seed: int, count: int = 500, classes: int = 7) -> torch.Tensor:
    return 2 * torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))


def test_inception_score_of_sure_and_unsure_guesses() -> None:
    """Sure of K classes in equal shares: K.  The same guess for all: 1."""
    sure = 50.0 * torch.eye(5).repeat(400, 1)
    assert fidelity.inception_score(sure, splits=SPLITS)[0] == pytest.approx(5.0, rel=0.02)
    assert fidelity.inception_score(torch.zeros(100, 5), splits=SPLITS) == pytest.approx((1.0, 0.0))


def test_inception_score_is_its_formula() -> None:
    """The exponential of E KL(p(y|x) ‖ p(y)), split by split, in float64."""
    found = logits(0)
    order = np.random.RandomState(fidelity.SEED).permutation(len(found))
    p = torch.softmax(found[order].double(), dim=1)
    parts = []
    for part in torch.split(p, len(p) // SPLITS):
        kl = (part * (part / part.mean(dim=0)).log()).sum(dim=1)
        parts.append(float(kl.mean().exp()))
    expected = (float(np.mean(parts)), float(np.std(parts)))
    assert fidelity.inception_score(found, splits=SPLITS) == pytest.approx(expected, rel=1e-9)


class Images(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, k: int) -> torch.Tensor:
        return self.images[k]


def test_equals_calculate_metrics() -> None:
    """FID, IS, KID, precision and recall of its public function, on the same images, to 1e-6."""
    import_torchvision()
    import torch_fidelity

    from dddm.support.moments import statistics_of
    from dddm_scores.fidelity import frechet_distance
    from dddm_scores.neighbourhoods import compare_neighbourhoods, neighbourhoods_of

    class Small(torch_fidelity.FeatureExtractorBase):  # type: ignore[misc]  # it is untyped
        """Mean colours of quarters as features, a fixed mix of them as logits."""

        def __init__(self, name: str, features_list: list[str], **_settings: Any) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return ("quarters", "logits")

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "quarters"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        @staticmethod
        def get_dummy_input_for_compile() -> torch.Tensor:
            return torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = {"quarters": quarters(images), "logits": logits_of(images)}
            return self.convert_features_tuple_to_dict_values(found)

        def convert_features_tuple_to_dict_values(
            self, found: dict[str, torch.Tensor]
        ) -> tuple[torch.Tensor, ...]:
            return tuple(found[name] for name in self.features_list)

    torch_fidelity.register_feature_extractor("small", Small)
    generator = torch.Generator().manual_seed(5)
    generated, real = (
        torch.randint(0, most, (1200, 3, 4, 4), generator=generator).to(torch.uint8)
        for most in (230, 256)
    )
    for name, images in (("generated", generated), ("real", real)):
        torch_fidelity.register_dataset(name, lambda *_, images=images: Images(images))
    theirs: dict[str, float] = torch_fidelity.calculate_metrics(
        input1="generated",
        input2="real",
        feature_extractor="small",
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        cuda=False,
        save_cpu_ram=True,  # and no worker processes
        cache=False,
        verbose=False,
    )
    one, other = quarters(generated), quarters(real)
    is_mean, is_deviation = fidelity.inception_score(logits_of(generated), splits=SPLITS)
    kid_mean, kid_deviation = kernel_distance(one, other, subset=1000)
    manifold = compare_neighbourhoods(neighbourhoods_of(one), neighbourhoods_of(other))
    ours = {
        "inception_score_mean": is_mean,
        "inception_score_std": is_deviation,
        "frechet_inception_distance": frechet_distance(statistics_of(one), statistics_of(other)),
        "kernel_inception_distance_mean": kid_mean,
        "kernel_inception_distance_std": kid_deviation,
        "precision": manifold.precision,
        "recall": manifold.recall,
    }
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], rel=1e-6, abs=1e-6), name


def quarters(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(images.float() / 255, 2).flatten(1)


def logits_of(images: torch.Tensor) -> torch.Tensor:
    """A fixed linear mix of the quarters, (B, 5)."""
    mix = torch.randn(12, 5, generator=torch.Generator().manual_seed(9))
    return 4 * quarters(images) @ mix
