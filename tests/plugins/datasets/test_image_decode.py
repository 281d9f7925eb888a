"""One image's file becomes numbers as stated: colours, transparency, depth, crop and size."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dddm_datasets.image_decode import ImageError, decode, read_size

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def encoded(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def pixels(data: bytes, *, grey: bool = False, size: int | None = None) -> np.ndarray[Any, Any]:
    return decode(data, grey=grey, size=size).pixels


@pytest.mark.parametrize(
    ("kind", "more"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})],
)
def test_lossless_formats_give_their_pixels(kind: str, more: dict[str, Any]) -> None:
    """Channels first, in the order red, green, blue, and nothing is done to them."""
    data = encoded(Image.fromarray(RGB), kind, **more)
    found = decode(data, grey=False, size=None)
    assert np.array_equal(found.pixels, RGB.transpose(2, 0, 1))
    assert found.notes == ()
    assert read_size(data) == (6, 8)


def test_jpeg_is_read() -> None:
    data = encoded(Image.fromarray(RGB), "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(pixels(data), expected.transpose(2, 0, 1))


def test_grey_becomes_three_equal_channels() -> None:
    """And one channel where grey is asked for; two levels are grey too."""
    data = encoded(Image.fromarray(GREY))
    assert np.array_equal(pixels(data), np.stack([GREY] * 3))
    assert np.array_equal(pixels(data, grey=True), GREY[None])
    assert decode(data, grey=False, size=None).notes == ("grey → RGB",)
    bits = encoded(Image.fromarray(GREY > 127))
    assert np.array_equal(pixels(bits, grey=True), np.where(GREY > 127, 255, 0)[None])


def test_colours_become_luma() -> None:
    """0.299 R + 0.587 G + 0.114 B, to within a level."""
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert np.abs(pixels(encoded(Image.fromarray(RGB)), grey=True)[0] - luma).max() <= 1


def test_sixteen_bits_are_rounded_to_eight() -> None:
    deep = RNG.integers(0, 65_536, (6, 8)).astype(np.uint16)
    deep[0, :2] = (0, 65_535)
    for kind in ("PNG", "TIFF"):
        found = decode(encoded(Image.fromarray(deep), kind), grey=True, size=None)
        assert np.array_equal(found.pixels[0], np.floor(deep / 257 + 0.5))
        assert "16 bits → 8 bits" in found.notes


def test_transparency_becomes_white() -> None:
    """Fully transparent is white, opaque is itself, half is between; grey and palette likewise."""
    alpha = np.tile(np.array([0, 128, 255, 255], np.uint8), (6, 2))
    found = decode(encoded(Image.fromarray(np.dstack([RGB, alpha]))), grey=False, size=None)
    share = alpha[..., None] / 255
    expected = RGB * share + 255 * (1 - share)
    assert np.abs(found.pixels.transpose(1, 2, 0) - expected).max() <= 1
    assert found.notes == ("transparency → white",)
    grey = pixels(encoded(Image.fromarray(np.dstack([GREY, alpha]), "LA")), grey=True)[0]
    assert np.abs(grey - (GREY * share[..., 0] + 255 * (1 - share[..., 0]))).max() <= 1


def test_transparency_may_become_black_or_be_refused() -> None:
    """Black shows as nothing added; refused is only what is really transparent somewhere."""
    alpha = np.tile(np.array([0, 128, 255, 255], np.uint8), (6, 2))
    data = encoded(Image.fromarray(np.dstack([RGB, alpha])))
    found = decode(data, grey=False, size=None, alpha="black")
    assert np.abs(found.pixels.transpose(1, 2, 0) - RGB * (alpha[..., None] / 255)).max() <= 1
    assert found.notes == ("transparency → black",)
    with pytest.raises(ImageError, match="transparent pixels") as refused:
        decode(data, grey=False, size=None, alpha="refuse")
    assert "data.alpha" in str(refused.value.remedy)
    opaque = encoded(Image.fromarray(np.dstack([RGB, np.full((6, 8), 255, np.uint8)])))
    kept = decode(opaque, grey=False, size=None, alpha="refuse")
    assert np.array_equal(kept.pixels, RGB.transpose(2, 0, 1))
    assert kept.notes == ("opaque alpha left out",)


def test_palettes_become_their_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert pixels(encoded(image))[:, 0].T.tolist() == [[10, 20, 30], [200, 100, 50]]
    seen_through = encoded(image, "GIF", transparency=1)
    found = decode(seen_through, grey=False, size=None)
    assert found.pixels[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]
    assert "palette → colors" in found.notes


def test_the_first_frame_is_taken() -> None:
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    found = decode(data, grey=True, size=None)
    assert not found.pixels.any()
    assert "first of several frames taken" in found.notes


def test_photographs_are_turned_as_their_exif_says() -> None:
    """What lies on its side is put upright, and its size is that of the upright one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(RGB), "PNG", exif=exif)
    assert np.array_equal(pixels(data), np.rot90(RGB, -1).transpose(2, 0, 1))
    assert read_size(data) == (8, 6)


def test_the_central_square_is_cut_out_and_reduced() -> None:
    image = Image.fromarray(RNG.integers(0, 256, (40, 61, 3), dtype=np.uint8))
    found = decode(encoded(image), grey=False, size=16)
    expected = image.crop((10, 0, 50, 40)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(found.pixels, np.asarray(expected).transpose(2, 0, 1))
    assert found.notes == ("cropped to the central square", "reduced (Lanczos)")


def test_a_fitting_size_changes_nothing() -> None:
    """An image of the size that is asked for is taken as it is; a smaller one is enlarged."""
    square = Image.fromarray(RGB[:, :6])
    assert np.array_equal(pixels(encoded(square), size=6), RGB[:, :6].transpose(2, 0, 1))
    assert decode(encoded(square), grey=False, size=9).notes == ("enlarged (Lanczos)",)


def test_reducing_does_not_alias() -> None:
    """A fine chequered pattern becomes grey, not a coarse pattern."""
    fine = ((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)
    found = pixels(encoded(Image.fromarray(fine)), grey=True, size=10).astype(int)
    assert np.abs(found - 127).max() <= 8


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not one of PNG"),
        (b"not an image", "not one of PNG"),
        (encoded(Image.fromarray(RGB))[:-30], "cannot be decoded"),
        (encoded(Image.fromarray(RGB.repeat(20, 0)), "JPEG")[:-400], "cannot be decoded"),
        (encoded(Image.fromarray(RGB), "PPM"), "not one of PNG"),
        (encoded(Image.fromarray(RGB).convert("LAB"), "TIFF"), "color mode LAB"),
        (encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "color mode F"),
        (encoded(Image.fromarray(GREY.astype(np.int32) * 10_000), "TIFF"), "16 bits"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, says: str) -> None:
    """Damage, formats that are not opened, and colours that are not converted."""
    with pytest.raises(ImageError, match=says):
        decode(data, grey=False, size=None)


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would unpack to more than Pillow's limit is not unpacked."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    for read in (lambda data: decode(data, grey=False, size=2), read_size):
        with pytest.raises(ImageError, match="more pixels"):
            read(encoded(Image.fromarray(RGB)))


def adm_by_loops(image_HWC: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Box halvings by plain means; Pillow's bicubic filter, as a matrix of its definition; a crop.

    The bicubic kernel with a = -1/2 is widened by the reduction; between its two passes Pillow
    rounds to 8 bits.
    """

    def rounded(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.clip(np.floor(values + 0.5), 0, 255)

    def kernel(x: float) -> float:
        x = abs(x)
        if x < 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    def filter_of(before: int, after: int) -> np.ndarray[Any, Any]:
        scale = before / after
        wide = max(scale, 1.0)
        rows = []
        for k in range(after):
            centre = (k + 0.5) * scale
            low, high = (
                max(int(centre - 2 * wide + 0.5), 0),
                min(int(centre + 2 * wide + 0.5), before),
            )
            row = [
                kernel((j + 0.5 - centre) / wide) if low <= j < high else 0.0 for j in range(before)
            ]
            rows.append(np.array(row) / sum(row))
        return np.stack(rows)

    x = image_HWC.astype(float)
    while min(x.shape[:2]) >= 2 * size:
        height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
        assert x.shape[:2] == (height, width)
        across = rounded((x[:, 0::2] + x[:, 1::2]) / 2)
        x = rounded((across[0::2] + across[1::2]) / 2)
    scale = size / min(x.shape[:2])
    height, width = (round(side * scale) for side in x.shape[:2])
    if (height, width) != x.shape[:2]:
        x = rounded(np.einsum("wv,hvc->hwc", filter_of(x.shape[1], width), x))
        x = rounded(np.einsum("hg,gwc->hwc", filter_of(x.shape[0], height), x))
    top, left = (height - size) // 2, (width - size) // 2
    return x[top : top + size, left : left + size].transpose(2, 0, 1)


@pytest.mark.parametrize("shape", [(96, 132), (132, 96), (64, 64), (40, 52), (20, 24), (16, 17)])
def test_adm_crops_and_resizes_as_its_code(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(image))
    found = decode(data, grey=False, size=16, resize="adm")
    assert np.abs(found.pixels - adm_by_loops(image, 16)).max() <= 1
    assert found.pixels.shape == (3, 16, 16)
    if min(shape) != 16:
        other = decode(data, grey=False, size=16).pixels
        assert np.abs(found.pixels.astype(int) - other).mean() > 1


def test_adm_does_not_rotate() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = encoded(Image.fromarray(RGB[:, :6]), exif=exif)
    found = decode(turned, grey=False, size=6, resize="adm")
    assert np.array_equal(found.pixels, RGB[:, :6].transpose(2, 0, 1))
    assert found.notes == ()
    assert decode(turned, grey=False, size=6).notes == ("rotated as EXIF says",)
