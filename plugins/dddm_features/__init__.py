"""Built-in features."""

from functools import cache
from typing import Any

from dddm.interfaces.info import FeaturesInfo
from dddm.interfaces.plugin import Conformance, Describe, Kind, Registrar, hookimpl
from dddm_features.options import (
    CLIP_WEIGHTS,
    DIGITS_SHAPE,
    DINOV2_LARGE_WEIGHTS,
    DINOV2_WEIGHTS,
    INCEPTION_WEIGHTS,
    RESNET20_SHAPE,
    RESNET20_WEIGHTS,
    LearnedOptions,
    WeightsOptions,
    check_learned,
    check_of,
    needs,
)


@cache  # equal registrations compare equal
def _always(facts: FeaturesInfo) -> Describe:
    def describe(_options: Any) -> FeaturesInfo:
        return facts

    return describe


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in features."""
    for name, target, summary in (
        ("pixels", "Pixels", "The pixels themselves, in [-1, 1]; images of any shape."),
        (
            "pixels-8x8",
            "Pixels8x8",
            "Images averaged down to 8×8, in [-1, 1]; few dimensions for images of any shape.",
        ),
    ):
        registrar.add(
            Kind.FEATURES,
            name,
            target=f"dddm_features.pixels:{target}",
            describe=_always(FeaturesInfo(gradient=True)),
            summary=summary,
        )
    registrar.add(
        Kind.FEATURES,
        "random-convolutions",
        target="dddm_features.random_convolutions:RandomConvolutions",
        describe=_always(FeaturesInfo(gradient=True)),
        summary="64 means of fixed random convolutions: nothing was trained, so nothing is fitted.",
        check=check_of("random-convolutions"),
    )
    registrar.add(
        Kind.FEATURES,
        "digits-classifier",
        target="dddm_features.digits_classifier:DigitsClassifier",
        describe=_always(FeaturesInfo(gradient=True, logits=True)),
        summary="64 activations of a small classifier of 8×8 digits; weights included.",
        check=check_of("digits-classifier"),
        conformance=Conformance(shapes=(DIGITS_SHAPE,)),
    )
    registrar.add(
        Kind.FEATURES,
        "learned",
        target="dddm_features.learned:Learned",
        options=LearnedOptions,
        describe=_always(FeaturesInfo(gradient=True, logits=None)),
        summary="Features of a small network that is learned on your images, in some minutes.",
        check=check_learned,
        conformance=Conformance(examples=({"epochs": 1},)),
    )
    any_shape, cifar10 = Conformance(), Conformance(shapes=(RESNET20_SHAPE,))
    for name, target, file, facts, conformance, summary in (
        (
            "resnet20",
            "resnet20:ResNet20Features",
            RESNET20_WEIGHTS,
            FeaturesInfo(gradient=True, logits=True),
            cifar10,
            "64 pooled features of a ResNet-20 trained on CIFAR-10, for 3×32×32; not FID.",
        ),
        (
            "inception",
            "inception:Inception",
            INCEPTION_WEIGHTS,
            FeaturesInfo(logits=True),
            cifar10,
            "2,048 pooled features of FID's Inception; on 50,000 samples, FID.",
        ),
        (
            "clip-vit-b-32",
            "vision:clip_vit_b_32",
            CLIP_WEIGHTS,
            FeaturesInfo(),
            any_shape,
            "512 numbers of CLIP ViT-B/32, trained on captioned images.",
        ),
        (
            "dinov2-vit-b-14",
            "vision:dinov2_vit_b_14",
            DINOV2_WEIGHTS,
            FeaturesInfo(),
            any_shape,
            "768 numbers of DINOv2 ViT-B/14, trained on images without labels.",
        ),
        (
            "dinov2-vit-l-14",
            "vision:dinov2_vit_l_14",
            DINOV2_LARGE_WEIGHTS,
            FeaturesInfo(),
            any_shape,
            "1,024 numbers of DINOv2 ViT-L/14, those of FD-DINOv2 in publications.",
        ),
    ):
        registrar.add(
            Kind.FEATURES,
            name,
            target=f"dddm_features.{target}",
            options=WeightsOptions,
            check=check_of(name),
            describe=_always(facts),
            weights=(file,),
            needs=needs(file),
            summary=summary,
            conformance=conformance,
        )
