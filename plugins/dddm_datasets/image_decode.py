"""Decode one image file to uint8 (C, H, W), with notes on every conversion.  Imports no torch.

Images are rotated as their EXIF says, composed over white or black where they are transparent,
converted to RGB or grey (ITU-R 601 luma), cropped to their central square and resized by Pillow's
Lanczos filter, whose support grows with the reduction, so that nothing aliases; or cropped and
resized as in ADM's code (Dhariwal & Nichol 2021).  Only usual formats are opened, and nothing of
more than 67 million pixels, whatever its file's header says.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, final

import numpy as np
import numpy.typing as npt
from attrs import frozen
from PIL import Image, ImageOps, UnidentifiedImageError

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_GREY: Final = ("1", "L")
_ALPHA: Final = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN_BIT: Final = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_ORIENTATION: Final = 0x0112
_HIGHEST: Final = 65_535
_OPAQUE: Final = 255
_CHOOSE_ALPHA: Final = 'set data.alpha = "white" or "black", or replace it'
_MOST_PIXELS: Final = 1 << 26
_TOO_LARGE: Final = f"it would unpack to more pixels than the limit of {_MOST_PIXELS:,}"
_BAND_PIXELS: Final = 1 << 20
_SCAN: Final = b"\xff\xda"
_MOST_SCANS: Final = 100
"""Each scan of a JPEG goes over the whole image; usual encoders write ten."""


@final
class ImageError(Exception):
    """An image that is damaged or of an unsupported kind; the message says why.

    Args:
        what: the message.
        remedy: what to do, where the image is intact and the options refuse it.
    """

    def __init__(self, what: str, *, remedy: str | None = None) -> None:
        super().__init__(what)
        self.remedy = remedy


Alpha = Literal["white", "black", "refuse"]
Resize = Literal["lanczos", "adm"]
"""What transparent pixels are put on; `refuse` for images without any."""


@final
@frozen(kw_only=True, eq=False)
class DecodedImage:
    """Pixels (C, H, W), uint8, and what was done to them."""

    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...]


@contextmanager
def _open(data: bytes) -> Iterator[Image.Image]:
    """Turn whatever Pillow raises into an `ImageError`; damaged files raise a great variety."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _refuse_excess(image, data)
                yield image
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"it is not one of {', '.join(_FORMATS)}, or is damaged") from error
    except Exception as error:
        raise ImageError(f"it cannot be decoded: {error}") from error


def _refuse_excess(image: Image.Image, data: bytes) -> None:
    """Refuse what would take much time or memory, before anything is decoded."""
    width, height = image.size
    if not 0 < width * height <= _MOST_PIXELS:
        raise ImageError(_TOO_LARGE if width * height else "it has no pixels")
    if image.format in {"JPEG", "MPO"} and data.count(_SCAN) > _MOST_SCANS:
        raise ImageError(f"it has more than {_MOST_SCANS} scans")


def read_size(data: bytes) -> tuple[int, int]:
    """Height and width of the upright image, from its header.

    Raises:
        ImageError: if the header cannot be read.
    """
    with _open(data) as image:
        width, height = image.size
        rotated = image.getexif().get(_ORIENTATION) in {5, 6, 7, 8}
        return (width, height) if rotated else (height, width)


def decode(
    data: bytes,
    *,
    grey: bool,
    size: int | None,
    alpha: Alpha = "white",
    resize: Resize = "lanczos",
) -> DecodedImage:
    """Decode a file's bytes.

    Args:
        grey: convert to one channel; otherwise to RGB.
        size: height and width to crop and resize to; None keeps the image's size.
        resize: how; `adm` is `center_crop_arr` of ADM's code, which takes no notice of EXIF.
        alpha: what transparent pixels are put on.

    Raises:
        ImageError: if it is damaged, too large, or of an unsupported kind.
    """
    notes: list[str] = []
    with _open(data) as image:
        if getattr(image, "is_animated", False):  # `n_frames` would read all of a million
            notes.append("first of several frames taken")
        image.load()
        # ADM's code does not rotate, and its images are to be had pixel by pixel.
        if resize != "adm" and image.getexif().get(_ORIENTATION, 1) != 1:
            notes.append("rotated as EXIF says")
            image = ImageOps.exif_transpose(image)  # noqa: PLW2901 - each step's result
        if image.mode in _SIXTEEN_BIT:
            notes.append("16 bits → 8 bits")
            image = _to_8_bits(image)  # noqa: PLW2901
        if image.mode == "P":
            notes.append("palette → colors")
        if image.mode in _ALPHA or "transparency" in image.info:
            image, transparent = _without_alpha(image, alpha=alpha)  # noqa: PLW2901
            notes.append(f"transparency → {alpha}" if transparent else "opaque alpha left out")
        image = _convert_colors(image, grey=grey, notes=notes)  # noqa: PLW2901
        if size is not None:
            change = _resize_adm if resize == "adm" else _resize
            image = change(image, size=size, notes=notes)  # noqa: PLW2901
        pixels = np.asarray(image, np.uint8)
    pixels = pixels[None] if grey else pixels.transpose(2, 0, 1)
    return DecodedImage(pixels=np.ascontiguousarray(pixels), notes=tuple(notes))


def _without_alpha(image: Image.Image, *, alpha: Alpha) -> tuple[Image.Image, bool]:
    """The image on white or black, and whether a pixel was transparent.

    In bands, as four copies of a large image would take a gigabyte.
    """
    transparent = False
    whole = Image.new("RGB", image.size)
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        rgba = image.crop(box).convert("RGBA")
        if rgba.getextrema()[-1] != (_OPAQUE, _OPAQUE):
            transparent = True
            if alpha == "refuse":
                raise ImageError("it has transparent pixels", remedy=_CHOOSE_ALPHA)
            below = Image.new("RGBA", rgba.size, alpha)
            rgba = Image.alpha_composite(below, rgba)
        whole.paste(rgba.convert("RGB"), box)
    return whole, transparent


def _to_8_bits(image: Image.Image) -> Image.Image:
    """16-bit grey → 8-bit, rounded: 65535 → 255."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > _HIGHEST:
        raise ImageError("its values do not fit into 16 bits")
    scaled = values.astype(np.uint32)  # 65535·255 + 32767 fits
    scaled *= 255
    scaled += _HIGHEST // 2
    scaled //= _HIGHEST
    return Image.fromarray(scaled.astype(np.uint8))


def _convert_colors(image: Image.Image, *, grey: bool, notes: list[str]) -> Image.Image:
    if image.mode == "P":
        image = image.convert("RGB")
    elif image.mode in {"CMYK", "YCbCr"}:
        notes.append(f"{image.mode} → RGB")
        image = image.convert("RGB")
    elif image.mode not in {*_GREY, "RGB"}:
        raise ImageError(f"its color mode {image.mode} is not supported")
    if image.mode == "RGB" and grey:
        notes.append("color → grey")
    elif image.mode in _GREY and not grey:
        notes.append("grey → RGB")
    mode = "L" if grey else "RGB"
    return image if image.mode == mode else image.convert(mode)  # which copies in any case


def _resize(image: Image.Image, *, size: int, notes: list[str]) -> Image.Image:
    width, height = image.size
    side = min(width, height)
    if width != height:
        notes.append("cropped to the central square")
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if side == size:
        return image
    notes.append("reduced (Lanczos)" if side > size else "enlarged (Lanczos)")
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _resize_adm(image: Image.Image, *, size: int, notes: list[str]) -> Image.Image:
    """Halved while both sides are at least 2·size, resized until the shorter one is size, cropped.

    Sides are rounded down by halves and to the nearest, halves to even, at the end; the crop is
    rounded up and left.  So does `center_crop_arr` of ADM's code, with whose images FID of ImageNet
    64×64 is compared.
    """
    before = image.size
    while min(image.size) >= 2 * size:
        width, height = image.size
        image = image.resize((width // 2, height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    if width != height:
        notes.append("cropped to the central square")
    if min(before) != size:
        notes.append("reduced (ADM)" if min(before) > size else "enlarged (ADM)")
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))
