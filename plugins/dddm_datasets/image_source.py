"""Files of images, in a folder or a zip archive, each decoded once.  Imports no torch."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.data.source import Chunk, DecodedImages, PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.interfaces.info import ImageShape
from dddm_datasets.image_decode import CannotUseError, Decoded, decode, size_of
from dddm_datasets.image_files import SUFFIXES, ImageFiles, Listing
from dddm_datasets.image_layout import SplitFiles, lay_out
from dddm_datasets.options import ImageFilesOptions

_CHUNK_IMAGES: Final = 256
_BLOCK_IMAGES: Final = 32
_HEADERS_LOOKED_AT: Final = 64
_CONVERSION: Final = (
    "turned as EXIF says, transparency over white, {channels}, {resized}; all by Pillow"
)


@final
@frozen(kw_only=True, eq=False)
class _Files:
    """What a chunk holds: files that are neighbours in a split.

    Attributes:
        shape: that all images have.
    """

    split: str
    first: int
    names: Sequence[str]
    labels: npt.NDArray[np.int64] | None
    shape: ImageShape


@final
@frozen(kw_only=True)
class ImageSource(PackSource):
    """Images that lie in `files`, read as `options` say."""

    files: ImageFiles
    options: ImageFilesOptions

    def exists(self) -> bool:
        """Whether the folder or archive is."""
        return self.files.path.exists()

    def identity(self) -> Mapping[str, Any]:
        """The files with sizes and times of change, and the options that decide what is read."""
        options = self.options
        return {
            "kind": type(self.files).__name__,
            "files": self.files.identity(),
            "classes": options.classes,
            "held_out_images": options.held_out_images,
            "size": options.size,
            "channels": options.channels,
        }

    def provenance(self) -> Mapping[str, Any]:
        """Where the images lie and how they are converted."""
        size = self.options.size
        return {
            "kind": type(self.files).__name__,
            "path": str(self.files.path),
            "conversion": _CONVERSION.format(
                channels="RGB" if self.options.channels == "rgb" else "grey (ITU-R 601 luma)",
                resized="neither cropped nor resized"
                if size is None
                else f"cropped to the central square and resized to {size}×{size} with Lanczos, "
                "antialiased",
            ),
        }

    def plan(self) -> PackPlan:
        """Files in order of name, some to a chunk.

        Raises:
            DataError: if there are no images, or names and options do not fit each other.
        """
        listing = self.files.listing()
        place = str(self.files.path)
        if not listing.names:
            raise DataError(
                f"there are no images in it ({listing.passed_over} other files)",
                where=place,
                remedy=f"images end in {', '.join(sorted(SUFFIXES))}; correct data.path",
            )
        layout = lay_out(
            listing.names,
            wrapped=listing.wrapped,
            with_classes=self.options.classes == "folders",
            held_out_images=self.options.held_out_images,
            place=place,
        )
        shape = self._shape(listing.names)
        chunks = [
            chunk
            for split, files in layout.splits.items()
            for chunk in self._chunks(split, files, shape=shape, labelled=bool(layout.classes))
        ]
        return PackPlan(
            shape=shape,
            classes=layout.classes,
            splits={split: len(files.names) for split, files in layout.splits.items()},
            chunks=chunks,
            notes=_notes(listing, unused=layout.unused),
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        """The chunk's images, or what is wrong with one."""
        files: _Files = chunk.payload
        for first in range(0, len(files.names), _BLOCK_IMAGES):
            rows: list[int] = []
            images: list[npt.NDArray[np.uint8]] = []
            notes: Counter[str] = Counter()
            for k in range(first, min(first + _BLOCK_IMAGES, len(files.names))):
                image = self._decode(files.names[k], shape=files.shape)
                if isinstance(image, Problem):
                    yield image
                    continue
                rows.append(k)
                images.append(image.pixels)
                notes.update(image.notes)
            if rows:
                yield DecodedImages(
                    split=files.split,
                    rows=np.array(rows, np.int64) + files.first,
                    images=np.stack(images),
                    labels=None if files.labels is None else files.labels[rows],
                    notes=notes,
                )

    def image_name(self, plan: PackPlan, *, split: str, row: int) -> str:
        """The image's file."""
        for chunk in plan.chunks:
            files: _Files = chunk.payload
            if files.split == split and files.first <= row < files.first + len(files.names):
                return self.files.place(files.names[row - files.first])
        return f"{split} image {row}"

    def packing_error(self, plan: PackPlan, problem: Problem) -> DataError:
        """For an image of another size: one of each, and how many there are."""
        if not problem.wrong_size:
            return DataError(
                f"an image cannot be used: {problem.what}",
                where=problem.where,
                remedy="mend or remove it; `dddm data check RECIPE` names all such files",
            )
        sizes = self._sizes([name for chunk in plan.chunks for name in chunk.payload.names])
        common = Counter({size: len(names) for size, names in sizes.items()}).most_common()
        each = "; ".join(
            f"{count:,} of {height}×{width}, such as {sizes[height, width][0]}"
            for (height, width), count in common[:2]
        )
        more = f"; and {len(common) - 2} further sizes" if len(common) > 2 else ""  # noqa: PLR2004 - two are named
        return DataError(
            f"the images differ in size (height×width): {each}{more}",
            where=str(self.files.path),
            remedy="set data.size to crop and resize all of them, for instance data.size = "
            f"{min(plan.shape.height, plan.shape.width)}",
        )

    def _shape(self, names: Sequence[str]) -> ImageShape:
        """The most common one among some images, spread over all; of `size` where it is given."""
        channels = 3 if self.options.channels == "rgb" else 1
        if self.options.size is not None:
            return ImageShape(channels=channels, height=self.options.size, width=self.options.size)
        looked_at = names[:: max(1, len(names) // _HEADERS_LOOKED_AT)]
        sizes = self._sizes(looked_at) or self._sizes(names)
        if not sizes:
            raise DataError(
                f"none of the {len(names):,} images can be read, for instance {names[0]}",
                where=str(self.files.path),
                remedy="correct data.path, or get the images again",
            )
        height, width = max(sizes, key=lambda size: len(sizes[size]))
        return ImageShape(channels=channels, height=height, width=width)

    def _sizes(self, names: Sequence[str]) -> dict[tuple[int, int], list[str]]:
        """Names of images by height and width; those that cannot be read are left out."""
        sizes: dict[tuple[int, int], list[str]] = {}
        for name in names:
            try:
                sizes.setdefault(size_of(self.files.read(name)), []).append(name)
            except (CannotUseError, OSError, ValueError):
                continue
        return sizes

    def _chunks(
        self, split: str, files: SplitFiles, *, shape: ImageShape, labelled: bool
    ) -> Iterator[Chunk]:
        for first in range(0, len(files.names), _CHUNK_IMAGES):
            names = files.names[first : first + _CHUNK_IMAGES]
            labels = files.labels[first : first + len(names)] if labelled else None
            content = _Files(split=split, first=first, names=names, labels=labels, shape=shape)
            yield Chunk(images=len(names), payload=content)

    def _decode(self, name: str, *, shape: ImageShape) -> Decoded | Problem:
        try:
            data = self.files.read(name)
            image = decode(data, grey=shape.channels == 1, size=self.options.size)
        except (CannotUseError, OSError, ValueError, RuntimeError, EOFError) as error:
            return Problem(what=str(error), where=self.files.place(name))
        except Exception as error:  # noqa: BLE001 - a damaged archive raises what its damage leads to
            return Problem(what=f"it cannot be read: {error}", where=self.files.place(name))
        _, height, width = image.pixels.shape
        if (height, width) != (shape.height, shape.width):
            return Problem(
                what=f"it is {height}×{width} (height×width) where others are "
                f"{shape.height}×{shape.width}",
                where=self.files.place(name),
                remedy="set data.size to crop and resize all images",
                wrong_size=True,
            )
        return image


def _notes(listing: Listing, *, unused: int) -> dict[str, int]:
    counts = {"no image, passed over": listing.passed_over, "in a split that is not used": unused}
    return {note: count for note, count in counts.items() if count}
