"""Built-in features."""

from collections.abc import Iterable
from typing import Any

from dddm.interfaces.info import FeaturesInfo, ImageShape
from dddm.interfaces.plugin import (
    Conformance,
    Issue,
    Kind,
    NoOptions,
    RecipeContext,
    Registrar,
    hookimpl,
)
from dddm_features.inception_options import (
    INCEPTION_WEIGHTS,
    InceptionOptions,
    check_inception,
    needs_inception,
)
from dddm_features.resnet20_file import needs_resnet20
from dddm_features.resnet20_options import (
    RESNET20_SHAPE,
    RESNET20_WEIGHTS,
    ResNet20Options,
    check_resnet20,
)
from dddm_features.vision_options import (
    CLIP_WEIGHTS,
    DINOV2_WEIGHTS,
    VisionOptions,
    check_vision,
    needs_clip,
    needs_dinov2,
)

DIGITS_SHAPE = ImageShape(channels=1, height=8, width=8)
"""What the digits classifier was trained on, and all that it takes."""


def check_digits_classifier(options: NoOptions, context: RecipeContext) -> Iterable[Issue]:
    """Find before training that the samples could not be judged after it."""
    del options
    if context.data is not None and context.data.shape != DIGITS_SHAPE:
        yield Issue(
            option="use",
            what=f"digits-classifier is made for images of {DIGITS_SHAPE} "
            f"(channels×height×width), and the data are {context.data.shape}",
            remedy='use features = "pixels", which take any shape',
        )


def with_gradient(_options: Any) -> FeaturesInfo:
    """Of features that losses can use."""
    return FeaturesInfo(gradient=True)


def with_gradient_and_probabilities(_options: Any) -> FeaturesInfo:
    """Of classifiers that losses can use."""
    return FeaturesInfo(gradient=True, probabilities=True)


def with_probabilities(_options: Any) -> FeaturesInfo:
    """Of classifiers."""
    return FeaturesInfo(probabilities=True)


def without_either(_options: Any) -> FeaturesInfo:
    """Of features for scores alone."""
    return FeaturesInfo()


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in features."""
    registrar.add(
        Kind.FEATURES,
        "pixels",
        target="dddm_features.pixels:Pixels",
        describe=with_gradient,
        summary="The pixels themselves, in [-1, 1]; images of any shape.",
    )
    registrar.add(
        Kind.FEATURES,
        "pixels-8x8",
        target="dddm_features.pixels_8x8:Pixels8x8",
        describe=with_gradient,
        summary="Images averaged down to 8×8, in [-1, 1]; few dimensions for images of any shape.",
    )
    registrar.add(
        Kind.FEATURES,
        "digits-classifier",
        target="dddm_features.digits_classifier:DigitsClassifier",
        describe=with_gradient_and_probabilities,
        summary="64 activations of a small classifier of 8×8 digits, whose weights are carried.",
        check=check_digits_classifier,
        conformance=Conformance(shapes=(DIGITS_SHAPE,)),
    )
    registrar.add(
        Kind.FEATURES,
        "resnet20",
        target="dddm_features.resnet20:ResNet20Features",
        describe=with_gradient_and_probabilities,
        options=ResNet20Options,
        check=check_resnet20,
        weights=(RESNET20_WEIGHTS,),
        needs=needs_resnet20,
        summary="64 pooled features of a ResNet-20 trained on CIFAR-10, for 3×32×32; not FID.",
        conformance=Conformance(shapes=(RESNET20_SHAPE,)),
    )
    registrar.add(
        Kind.FEATURES,
        "inception",
        target="dddm_features.inception:Inception",
        describe=with_probabilities,
        options=InceptionOptions,
        check=check_inception,
        weights=(INCEPTION_WEIGHTS,),
        needs=needs_inception,
        summary="2,048 pooled features of FID's Inception; on 50,000 samples, FID.",
        conformance=Conformance(shapes=(RESNET20_SHAPE,)),
    )
    registrar.add(
        Kind.FEATURES,
        "clip-vit-b-32",
        target="dddm_features.vision:clip_vit_b_32",
        describe=without_either,
        options=VisionOptions,
        check=check_vision,
        weights=(CLIP_WEIGHTS,),
        needs=needs_clip,
        summary="512 numbers of CLIP ViT-B/32, which learned from captioned images.",
    )
    registrar.add(
        Kind.FEATURES,
        "dinov2-vit-b-14",
        target="dddm_features.vision:dinov2_vit_b_14",
        describe=without_either,
        options=VisionOptions,
        check=check_vision,
        weights=(DINOV2_WEIGHTS,),
        needs=needs_dinov2,
        summary="768 numbers of DINOv2 ViT-B/14, which learned from images without labels.",
    )
