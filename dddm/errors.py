"""Errors that a user can fix, each with the exit code of the command line.

An error says what is wrong, where, and what to do about it.  Any other exception that reaches the
command line is a bug in a plugin or in dddm, and is shown with a traceback.
"""

import errno
import os
import re
import sys
from typing import ClassVar, Final, final

_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
"""Control characters but tab and line end, invisible ones that reorder text, and surrogates."""


def printable(text: str) -> str:
    r"""Text for a terminal, without what moves its cursor or reorders letters: \u001b for escape.

    Names of files and texts of recipes may come from anyone.  TOML and JSON read the escapes back.
    """
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class DddmError(Exception):
    """An error that a user can fix.

    Args:
        what: what is wrong, one sentence, no full stop needed.
        where: the place: a file with line and column, a step, a folder, an option.
        remedy: what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.what]
        if self.where is not None:
            lines.append(f"  at: {self.where}")
        if self.remedy is not None:
            lines.append(f"  try: {self.remedy}")
        return printable("\n".join(lines))


@final
class UsageError(DddmError):
    """The command or function was called with wrong arguments."""

    exit_code = 2


@final
class RecipeError(DddmError):
    """A recipe cannot be read or is invalid."""

    exit_code = 3


@final
class PluginError(DddmError):
    """A plugin is missing or ambiguous, failed to load, or violates its interface."""

    exit_code = 4


@final
class TrainingFailed(DddmError):
    """A loss or gradient is not finite."""

    exit_code = 5


@final
class EnvironmentProblem(DddmError):
    """The machine lacks what is needed: space, memory, a device, a package, a permission."""

    exit_code = 6


@final
class DataError(DddmError):
    """Images, weights, checkpoints or results are damaged, missing or of the wrong shape."""

    exit_code = 7


@final
class EstimatesLost(DddmError):
    """A checkpoint is intact, but the stored estimates it refers to are missing or changed."""

    exit_code = 7


@final
class StoppedEarly(DddmError):
    """The run was asked to stop and has saved; the same command resumes it."""

    exit_code = 75


def environment_problem(error: BaseException) -> EnvironmentProblem | None:
    """A full disk or lack of memory as an error with a remedy; None for any other error."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EnvironmentProblem(
            "no space left on the device",
            where=str(error.filename or "standard output"),
            remedy="free some space; files that were already written are complete",
        )
    if is_out_of_memory(error):
        return EnvironmentProblem(
            f"out of memory: {error}".rstrip(": "),
            remedy='to train, use a larger train.accumulation_steps, which "auto" finds, '
            "backbone.checkpointing = true where the network has it, or "
            'train.precision = "bfloat16" on a GPU; '
            "`dddm run RECIPE --dry-run --memory 80GB` counts how many images fit. Elsewhere, use "
            "fewer images at a time",
        )
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of whichever device, did not suffice."""
    torch = sys.modules.get("torch")  # importing it would take a second
    return isinstance(error, MemoryError) or (
        torch is not None
        and (isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error))
    )


def file_problem(error: BaseException) -> EnvironmentProblem | None:
    """What the operating system refused to do with a file that it names; None for other errors."""
    if not isinstance(error, OSError) or error.errno is None or error.filename is None:
        return None
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
    if place is None:
        return None
    return EnvironmentProblem(
        f"the operating system says: {(error.strerror or str(error)).lower()}",
        where=place,
        remedy="see what is at this place, whether you may use it and whether its disk is well; "
        "if something removed it meanwhile, give the same command again",
    )
