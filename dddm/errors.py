"""Every error that a user can meet, each with the exit code that the command line returns for it.

An error says what is wrong, where, and what to do about it.  Anything else that reaches the
command line is a defect of a plugin or of ours: these alone are shown with a traceback.
"""

from typing import ClassVar, final


class DddmError(Exception):
    """Something that a user can mend.

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
        return "\n".join(lines)


@final
class UsageError(DddmError):
    """The command was called in a way that cannot be meant."""

    exit_code = 2


@final
class RecipeError(DddmError):
    """A recipe cannot be read, or says something that it must not say."""

    exit_code = 3


@final
class PluginError(DddmError):
    """A plugin is missing, is ambiguous, failed to load, or broke its promise."""

    exit_code = 4


@final
class TrainingFailed(DddmError):
    """Training met a number that is not finite."""

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
    """A checkpoint is whole, and estimates that it refers to are no longer there as they were."""

    exit_code = 7


@final
class StoppedEarly(DddmError):
    """The run was asked to stop, has saved, and goes on when the same command is given again."""

    exit_code = 75
