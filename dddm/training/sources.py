"""Where a trained run is: in a folder, on the Hugging Face Hub, or among those of the package.

    runs/digits                a run folder, or a portable run
    digits                     a run that comes with dddm, if no run folder has this name
    hf://user/name             on the Hub, `main`
    hf://user/name@revision    a branch, tag or commit

Imports no torch.
"""

import re
from pathlib import Path
from typing import Final

from dddm.errors import UsageError
from dddm.recipe.source import shipped_folder
from dddm.support.files import user_path
from dddm.training.run_folder import RunFolder, find_run, is_run

_SCHEME: Final = "hf://"
_HUB: Final = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>\w[\w.-]*(?:/\w[\w.-]*)*))?",
    re.ASCII,
)
_DRAWN: Final = Path("drawn")
"""Under the working directory: nothing is written where others' runs are kept."""


def shipped_runs() -> list[str]:
    """Names of the trained runs that come with dddm."""
    return sorted(path.parent.name for path in _shipped().glob("*/recipe.toml"))


def find_source(name: str | None, *, samples: bool = False) -> RunFolder:
    """The folder of a run; see the module for names.

    Args:
        name: None for the newest run under `./runs`.
        samples: whether samples and scores are needed too, which may have to be downloaded.

    Raises:
        DddmError: if there is no such run, it cannot be had, or its files are not as listed.
    """
    if name is None:
        return find_run(None)
    if name.startswith(_SCHEME):
        from dddm.training.hub import download

        repo, revision = repository(name)
        folder = download(repo, revision=revision, samples=samples)
        return RunFolder(folder, drawn=_DRAWN / repo.replace("/", "--"))
    if name in shipped_runs() and not is_run(RunFolder(Path(name))):
        return RunFolder(_shipped() / name, drawn=_DRAWN / name)
    return find_run(str(user_path(name)) if name.startswith("~") else name)


def repository(name: str) -> tuple[str, str | None]:
    """Repository and revision of `hf://user/name@revision`; the scheme may be left out.

    Raises:
        UsageError: if it is not of this form.
    """
    found = _HUB.fullmatch(name.removeprefix(_SCHEME))
    if found is None:
        raise UsageError(
            f"{name!r} does not name a run on the Hub",
            remedy="write it as hf://USER/NAME or hf://USER/NAME@REVISION",
        )
    return found["repo"], found["revision"]


def _shipped() -> Path:
    return shipped_folder() / "trained"
