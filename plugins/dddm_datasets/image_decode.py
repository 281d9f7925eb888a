"""One file of an image → uint8 (C, H, W), with all that was done to it.  Imports no torch.

Images are turned as their EXIF says, laid on white where they are transparent, made RGB or grey
(ITU-R 601 luma), cropped to their central square and resized by Pillow's Lanczos filter, whose
support grows with the reduction, so that nothing aliases.  Only formats in which photographs and
drawings come are opened, and nothing that would unpack to more than 89 million pixels.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen
from PIL import Image, ImageOps, UnidentifiedImageError

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_GREY: Final = ("1", "L")
_ALPHA: Final = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN_BIT: Final = ("I;16", "I;16L", "I;16B", "I;16N")
_BY_PILLOW: Final = ("CMYK", "YCbCr")
_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = 1
_HIGHEST: Final = 65_535


@final
class CannotUseError(Exception):
    """An image that is damaged or of a kind that is not converted; the message says why."""


@final
@frozen(kw_only=True, eq=False)
class Decoded:
    """An image (C, H, W), uint8, and what was done to it."""

    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...]


@contextmanager
def _saying_why() -> Iterator[None]:
    """Turn whatever Pillow raises into one error; damaged files raise a great variety."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities that Pillow gets over
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except CannotUseError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CannotUseError("it unpacks to more pixels than any photograph has") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(_FORMATS)
        raise CannotUseError(f"it is none of {kinds}, or its beginning is damaged") from error
    except MemoryError:
        raise
    except Exception as error:
        raise CannotUseError(f"it cannot be decoded: {error}") from error


def size_of(data: bytes) -> tuple[int, int]:
    """Height and width as the image is seen, read from its header alone.

    Raises:
        CannotUseError: if the header cannot be read.
    """
    with _saying_why(), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        width, height = image.size
        lies = image.getexif().get(_ORIENTATION, _UPRIGHT) in {5, 6, 7, 8}
        return (width, height) if lies else (height, width)


def decode(data: bytes, *, grey: bool, size: int | None) -> Decoded:
    """The image as numbers.

    Args:
        data: the file's bytes.
        grey: make it grey, one channel; otherwise RGB.
        size: height and width that it is cropped and resized to; None leaves it as large as it is.

    Raises:
        CannotUseError: if it is damaged, too large, or of a kind that is not converted.
    """
    notes: list[str] = []
    with _saying_why(), Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        if getattr(opened, "n_frames", 1) > 1:
            notes.append("first of several frames taken")
        opened.load()
        image = _upright(opened, notes)
        image = _converted(_opaque(_eight_bit(image, notes), notes), grey=grey, notes=notes)
        if size is not None:
            image = _resized(image, size=size, notes=notes)
        pixels = np.asarray(image, np.uint8)
    pixels = pixels[None] if grey else pixels.transpose(2, 0, 1)
    return Decoded(pixels=np.ascontiguousarray(pixels), notes=tuple(notes))


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT:
        return image
    notes.append("turned as its EXIF says")
    return ImageOps.exif_transpose(image)


def _eight_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """16-bit grey → 8-bit, rounded: 65535 → 255."""
    if image.mode not in {*_SIXTEEN_BIT, "I"}:
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _HIGHEST:
        raise CannotUseError("its values do not fit into 16 bits")
    notes.append("16 bits → 8 bits")
    return Image.fromarray(((values * 255 + _HIGHEST // 2) // _HIGHEST).astype(np.uint8))


def _opaque(image: Image.Image, notes: list[str]) -> Image.Image:
    """Transparent images over white; palettes as their colours."""
    if image.mode == "P":
        notes.append("palette → colours")
    if image.mode in _ALPHA or "transparency" in image.info:
        notes.append("transparency → white")
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", with_alpha.size, "white")
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    return image.convert("RGB") if image.mode == "P" else image


def _converted(image: Image.Image, *, grey: bool, notes: list[str]) -> Image.Image:
    wanted = "L" if grey else "RGB"
    if image.mode == wanted:
        return image
    if image.mode in _BY_PILLOW:
        notes.append(f"{image.mode} → RGB")
        image = image.convert("RGB")
    elif image.mode not in {*_GREY, "RGB"}:
        raise CannotUseError(f"its colours are of the kind {image.mode}, which is not converted")
    if image.mode == "RGB" and grey:
        notes.append("colour → grey")
    elif image.mode in _GREY and not grey:
        notes.append("grey → RGB")
    return image.convert(wanted)


def _resized(image: Image.Image, *, size: int, notes: list[str]) -> Image.Image:
    width, height = image.size
    side = min(width, height)
    if width != height:
        notes.append("cropped to its central square")
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if side == size:
        return image
    notes.append("reduced (Lanczos)" if side > size else "enlarged (Lanczos)")
    return image.resize((size, size), Image.Resampling.LANCZOS)
