"""Image files in a folder or a zip archive, each decoded once.  Imports no torch."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.data.source import Chunk, DecodedImages, LeftOut, PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.interfaces.info import ImageShape
from dddm_datasets.image_decode import DecodedImage, ImageError, decode, read_size
from dddm_datasets.image_files import SUFFIXES, ImageFiles, ZipFiles
from dddm_datasets.image_layout import lay_out
from dddm_datasets.options import (
    HuggingFaceOptions,
    ImageFilesOptions,
    ParquetOptions,
    WebDatasetOptions,
)

_CHUNK_IMAGES: Final = 256
_BATCH_IMAGES: Final = 32
_BATCH_BYTES: Final = 1 << 26
_SAMPLED_HEADERS: Final = 64
_NAMED_SIZES: Final = 2
_ON: Final = {
    "white": "transparency over white",
    "black": "transparency over black",
    "refuse": "transparency refused",
}


@final
@frozen(kw_only=True, eq=False)
class _Files:
    """A chunk's files, consecutive rows of a split from `first`; `shape` is what they must have."""

    split: str
    first: int
    names: Sequence[str]
    labels: npt.NDArray[np.int64] | None
    shape: ImageShape


@final
@frozen(kw_only=True)
class ImageSource(PackSource):
    """The images of `files`, read as `options` say."""

    files: ImageFiles
    options: ImageFilesOptions | WebDatasetOptions | ParquetOptions | HuggingFaceOptions

    def exists(self) -> bool:
        return self.files.exists()

    def identity(self) -> Mapping[str, Any]:
        options = self.options
        return {
            "kind": type(self.files).__name__,
            "files": self.files.identity(),
            "classes": options.classes,
            "held_out_images": options.held_out_images,
            "size": options.size,
            "channels": options.channels,
            # Not in the key by default, so that what was packed before stays valid.
            **({"damaged": options.damaged} if options.damaged != "refuse" else {}),
            **({"alpha": options.alpha} if options.alpha != "white" else {}),
            **({"resize": options.resize} if options.resize != "lanczos" else {}),
        }

    def provenance(self) -> Mapping[str, Any]:
        size = self.options.size
        channels = "RGB" if self.options.channels == "rgb" else "grey (ITU-R 601 luma)"
        adm = self.options.resize == "adm"
        how = "as by ADM, by boxes and bicubically" if adm else "by Lanczos"
        resized = (
            "neither cropped nor resized"
            if size is None
            else f"cropped to the central square and resized to {size}×{size} {how}"
        )
        upright = "not rotated" if adm else "rotated as EXIF says"
        return {
            "kind": type(self.files).__name__,
            "path": self.files.where,
            "conversion": f"by Pillow: {upright}, {_ON[self.options.alpha]}, {channels}, {resized}",
            "damaged": self.options.damaged,
        }

    def plan(self) -> PackPlan:
        """Files in the order in which they are listed."""
        listing = self.files.listing()
        where = self.files.where
        if not listing.names:
            raise DataError(
                f"it contains no images ({listing.skipped} other files)",
                where=where,
                remedy=f"images end in {', '.join(sorted(SUFFIXES))}; correct data.path",
            )
        layout = lay_out(
            listing.names,
            with_classes=self.options.classes != "none",
            classes=listing.classes,
            held_out_images=self.options.held_out_images,
            where=where,
            archive=isinstance(self.files, ZipFiles),
        )
        shape = self._shape(listing.names)
        chunks = []
        for split, files in layout.splits.items():
            for first in range(0, len(files.names), _CHUNK_IMAGES):
                rows = slice(first, first + _CHUNK_IMAGES)
                payload = _Files(
                    split=split,
                    first=first,
                    names=files.names[rows],
                    labels=files.labels[rows] if layout.classes else None,
                    shape=shape,
                )
                chunks.append(Chunk(images=len(payload.names), payload=payload))
        classless = self.options.classes != "none" and not layout.classes
        notes = {
            "not an image, skipped": listing.skipped,
            "in an unused split": layout.unused,
            "in no folder, so without a class": len(listing.names) if classless else 0,
        }
        return PackPlan(
            shape=shape,
            classes=layout.classes,
            splits={split: len(files.names) for split, files in layout.splits.items()},
            chunks=chunks,
            notes={note: count for note, count in notes.items() if count},
            class_images=tuple(
                np.bincount(layout.splits["train"].labels, minlength=len(layout.classes)).tolist()
            )
            if layout.classes
            else (),
        )

    def look(self, plan: PackPlan) -> Iterator[Problem]:
        """By the headers of some images: damage, and sizes that differ where nothing is resized."""
        names = [name for chunk in plan.chunks for name in chunk.payload.names]
        sample = names[:: max(1, len(names) // _SAMPLED_HEADERS)]
        damaged: list[Problem] = []
        sizes = self._sizes(sample, damaged)
        if sizes and damaged and self.options.damaged == "refuse":
            yield Problem(
                what=f"{len(damaged)} of {len(sample)} images that were looked at cannot be read: "
                f"{damaged[0].what}",
                where=damaged[0].where,
                remedy='get them again, or set data.damaged = "skip" to leave them out',
                damaged=True,
            )
        if not sizes:
            yield Problem(
                what=f"none of {len(names):,} images can be read, for example {names[0]}",
                where=self.files.where,
                remedy="correct data.path, or get the images again",
            )
        if len(sizes) > 1 and self.options.size is None:
            error = self._sizes_differ(sizes, plan)
            yield Problem(
                what=error.what, where=str(error.where), remedy=error.remedy, wrong_size=True
            )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem | LeftOut]:
        files: _Files = chunk.payload
        at_once = max(1, min(_BATCH_IMAGES, _BATCH_BYTES // files.shape.values))
        for first in range(0, len(files.names), at_once):
            rows: list[int] = []
            images: list[npt.NDArray[np.uint8]] = []
            notes: Counter[str] = Counter()
            for k in range(first, min(first + at_once, len(files.names))):
                image = self._decode(files.names[k], shape=files.shape)
                if isinstance(image, Problem):
                    skipped = image.damaged and self.options.damaged == "skip"
                    row = files.first + k
                    yield LeftOut(split=files.split, row=row, problem=image) if skipped else image
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

    def _decode(self, name: str, *, shape: ImageShape) -> DecodedImage | Problem:
        where = self.files.location(name)
        try:
            data = self.files.read(name)
            image = decode(
                data,
                grey=shape.channels == 1,
                size=self.options.size,
                alpha=self.options.alpha,
                resize=self.options.resize,
            )
        except ImageError as error:
            remedy = error.remedy
            return Problem(what=str(error), where=where, remedy=remedy, damaged=remedy is None)
        except OSError as error:  # perhaps for now only, so that it is never left out
            return Problem(what=f"it cannot be read: {error.strerror or error}", where=where)
        _, height, width = image.pixels.shape
        if (height, width) != (shape.height, shape.width):
            return Problem(
                what=f"its size is {height}×{width} (height×width), others are "
                f"{shape.height}×{shape.width}",
                where=where,
                remedy="set data.size to crop and resize all images",
                wrong_size=True,
            )
        return image

    def image_name(self, plan: PackPlan, *, split: str, row: int) -> str:
        for chunk in plan.chunks:
            files: _Files = chunk.payload
            if files.split == split and files.first <= row < files.first + len(files.names):
                return self.files.location(files.names[row - files.first])
        return f"{split} image {row}"

    def packing_error(self, plan: PackPlan, problem: Problem) -> DataError:
        """For images of several sizes: how many of each, and an example."""
        if not problem.wrong_size:
            return DataError(
                f"an image cannot be used: {problem.what}",
                where=problem.where,
                remedy=(problem.remedy or "replace or remove it")
                + (', or set data.damaged = "skip" to leave it out' if problem.damaged else "")
                + "; `dddm data check RECIPE` lists all such files",
            )
        sizes = self._sizes([name for chunk in plan.chunks for name in chunk.payload.names])
        return self._sizes_differ(sizes, plan)

    def _sizes_differ(
        self, sizes: Mapping[tuple[int, int], Sequence[str]], plan: PackPlan
    ) -> DataError:
        common = sorted(sizes.items(), key=lambda size: -len(size[1]))
        examples = "; ".join(
            f"{len(names):,} of {height}×{width}, such as {names[0]}"
            for (height, width), names in common[:_NAMED_SIZES]
        )
        more = len(common) - _NAMED_SIZES
        return DataError(
            f"the images differ in size (height×width): {examples}"
            + (f"; and {more} further sizes" if more > 0 else ""),
            where=self.files.where,
            remedy="set data.size to crop and resize all of them, for example data.size = "
            f"{min(plan.shape.height, plan.shape.width)}",
        )

    def _shape(self, names: Sequence[str]) -> ImageShape:
        """That of `options.size`, or else the most common one in a sample of all images."""
        channels = 3 if self.options.channels == "rgb" else 1
        if self.options.size is not None:
            return ImageShape(channels=channels, height=self.options.size, width=self.options.size)
        sample = names[:: max(1, len(names) // _SAMPLED_HEADERS)]
        sizes = self._sizes(sample) or self._sizes(names)
        if not sizes:
            raise DataError(
                f"none of the {len(names):,} images can be read, for example {names[0]}",
                where=self.files.where,
                remedy="correct data.path, or get the images again",
            )
        height, width = max(sizes, key=lambda size: len(sizes[size]))
        return ImageShape(channels=channels, height=height, width=width)

    def _sizes(
        self, names: Sequence[str], damaged: list[Problem] | None = None
    ) -> dict[tuple[int, int], list[str]]:
        """Names by height and width; images that cannot be read are added to `damaged`."""
        sizes: dict[tuple[int, int], list[str]] = {}
        for name in names:
            try:
                sizes.setdefault(read_size(self.files.read(name)), []).append(name)
            except (ImageError, OSError) as error:
                if damaged is not None:
                    damaged.append(Problem(what=str(error), where=self.files.location(name)))
        return sizes
