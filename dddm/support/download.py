"""Downloads a file of weights when the user asks, and keeps it only if it verifies."""

import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dddm.errors import DataError, EnvironmentProblem
from dddm.support.files import raise_on_disk_full, sync_folder
from dddm.support.weights import WeightFile, verify

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60
_LOCAL_HOSTS = {"127.0.0.1", "localhost"}

Progress = Callable[[int], None]
"""Called with the number of bytes downloaded so far."""


def fetch(file: WeightFile, *, folder: Path, progress: Progress = lambda _: None) -> Path:
    """Download `file` into `folder`; it gets its name once size and SHA-256 are right.

    Resumes an interrupted download if the server supports it.  A valid file is kept, an
    invalid one replaced.

    Raises:
        EnvironmentProblem: if the server cannot be reached or the folder not be written to.
        DataError: if the file is made by hand, the URL is neither https nor of this machine, or
            what came is another file.
    """
    path = folder / file.name
    if path.is_file() and _is_right(path, file=file):
        return path
    _check_url(file)
    aside = path.with_name(f"{file.name}.part")
    with raise_on_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _download(file, aside=aside, progress=progress)
        try:
            verify(aside, file=file)
        except DataError:
            aside.unlink()
            raise
        aside.replace(path)
        sync_folder(folder)
    return path


def _is_right(path: Path, *, file: WeightFile) -> bool:
    try:
        verify(path, file=file)
    except DataError:
        return False
    return True


def _check_url(file: WeightFile) -> None:
    if file.instructions is not None:
        raise DataError(
            f"{file.name} cannot be downloaded: it is converted from a file at {file.url}",
            remedy=file.instructions,
        )
    url = urlsplit(file.url)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOCAL_HOSTS):
        raise DataError(
            f"{file.name} cannot be fetched from {file.url}: only https:// is allowed",
            remedy="report this to the authors of the plugin that names it",
        )


def _download(file: WeightFile, *, aside: Path, progress: Progress) -> None:
    """Bring `aside` to its full size, from where it stands."""
    there = aside.stat().st_size if aside.is_file() else 0
    if there == file.size_bytes:
        return
    if there > file.size_bytes:
        aside.unlink()
        there = 0
    try:
        with _open(file, offset=there) as answer:
            goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
            missing = _copy(answer, aside, offset=there if goes_on else 0, progress=progress)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            aside.unlink()  # the server's file is shorter than what is here
        raise _unreachable(file, f"{error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _unreachable(file, str(error.reason)) from error
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise _unreachable(file, str(error) or type(error).__name__) from error
    if missing:
        raise _unreachable(file, f"the connection ended {missing:,} bytes before the end")


def _open(file: WeightFile, *, offset: int) -> Any:
    headers = {"User-Agent": "dddm", **({"Range": f"bytes={offset}-"} if offset else {})}
    request = urllib.request.Request(file.url, headers=headers)  # noqa: S310 - see _check_url
    return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310 - the same


def _copy(answer: Any, aside: Path, *, offset: int, progress: Progress) -> int:
    """Write what comes, from `offset`; how many bytes were promised and did not come."""
    with aside.open("r+b" if offset else "wb") as target:
        target.seek(offset)
        progress(offset)
        while chunk := answer.read(_CHUNK_BYTES):
            target.write(chunk)
            offset += len(chunk)
            progress(offset)
    return answer.length or 0


def _unreachable(file: WeightFile, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{file.name} could not be fetched: {why}",
        where=file.url,
        remedy="repeat the command, which resumes; or download the file by other means and put it "
        "where `dddm weights list` searches",
    )
