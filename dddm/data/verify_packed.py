"""Whether a packed folder still holds what was written to it.  Imports no torch."""

from collections.abc import Iterator
from pathlib import Path

from dddm.data.packed_format import PackedManifest, read_manifest
from dddm.data.packing import hash_split
from dddm.data.workers import Tally
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem, ProgressCallback


def verify_packed(folder: Path, *, key: str | None, progress: ProgressCallback) -> list[Problem]:
    """Compute all checksums anew and compare them with the manifest's.

    Args:
        folder: of the packed array.
        key: that it should have been made with; None where the source is not there.
        progress: told how many images are done.
    """
    try:
        packed = read_manifest(folder)
    except DataError as error:
        where = error.where or str(folder)
        return [Problem(what=error.what, where=where, remedy=error.remedy)]
    problems = list(_compare(folder, packed, progress=progress))
    if key is not None and packed.key != key:
        problems.append(
            Problem(
                what="it was packed from other files, or with other options, than the recipe names",
                where=str(folder),
                remedy="remove that folder, or choose another one for `packed`",
            )
        )
    return problems


def _compare(
    folder: Path, packed: PackedManifest, *, progress: ProgressCallback
) -> Iterator[Problem]:
    total = sum(facts.images for facts in packed.splits.values())
    tally = Tally("verifying checksums", total, progress)
    for name, known in packed.splits.items():
        try:
            found = hash_split(
                folder,
                name,
                shape=(known.images, *packed.shape.as_tuple),
                classes=packed.classes,
                tally=tally,
            )
        except OSError as error:
            yield _damaged(folder, Path(error.filename or name).name, "cannot be read")
            continue
        for file, facts in known.files.items():
            if found.files[file] != facts:
                yield _damaged(folder, file, "has changed since it was packed")


def _damaged(folder: Path, file: str, state: str) -> Problem:
    return Problem(
        what=f"the packed file {file} {state}",
        where=str(folder / file),
        remedy=f"remove {folder}; the same command packs the images again",
    )
