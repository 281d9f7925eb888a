"""A run in Weights & Biases, or in trackio, which has the same functions and keeps its data here.

Tags are those of `tracker`; the recipe is the run's config.  What leaves this machine, and where
to, is decided by the package and its environment variables, such as `WANDB_MODE=offline`.
"""

import contextlib
import sys
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from dddm.errors import EnvironmentProblem
from dddm_observers.options import TrackioOptions, WandbOptions
from dddm_observers.tracker import Tracker, import_tracker, make_folder, run_id


class _Logger(Tracker, ABC):
    """Follows a run under one id, kept in its own folder, so that a resumed run is the same run.

    It repeats the steps that its last checkpoint did not hold.
    """

    def __init__(self, package: Any, *, folder: Path) -> None:
        super().__init__()
        self.package = package
        self.folder = make_folder(folder, tracker=package.__name__)
        self.run: Any = None

    @abstractmethod
    def open(self, *, name: str, config: Mapping[str, Any] | None) -> Any:
        """Begin the run, or go on with it."""

    def start(self, *, first_step: int, recipe: str | None) -> None:
        del first_step
        self.close()
        self._opened(config=None if recipe is None else tomllib.loads(recipe))

    def numbers(self, numbers: Mapping[str, float], *, step: int | None) -> None:
        self._opened().log(dict(numbers), step=step)

    def picture(self, tag: str, path: Path, *, step: int | None) -> None:
        self._opened().log({tag: self.package.Image(str(path))}, step=step)

    def stop(self, reason: str) -> None:
        self._finish(failed=reason == "failed")

    def close(self) -> None:
        self._finish(failed=False)

    @abstractmethod
    def finish(self, *, failed: bool) -> None:
        """End the run of this process."""

    def _finish(self, *, failed: bool) -> None:
        if self.run is not None:
            self.finish(failed=failed)
            self.run = None

    def _opened(self, *, config: Mapping[str, Any] | None = None) -> Any:
        if self.run is None:
            self.run = self.open(name=self.folder.parents[1].name, config=config)
        return self.run


@final
class Wandb(_Logger):
    """Writes into its own folder, from which the package sends it on unless it is offline."""

    def __init__(self, options: WandbOptions, *, folder: Path) -> None:
        """Log in, so that a run does not start that could not be followed.

        Raises:
            EnvironmentProblem: if wandb is not installed or nobody is logged in, or the folder
                cannot be made.
        """
        super().__init__(import_tracker("wandb", extra="wandb"), folder=folder)
        self._options = options
        try:
            self.package.login()
        except self.package.Error as error:
            raise EnvironmentProblem(
                f"Weights & Biases cannot be used: {error}",
                where="[[observe]]",
                remedy="run `wandb login`, or set WANDB_MODE=offline to send the run later by "
                "`wandb sync`",
            ) from error

    def open(self, *, name: str, config: Mapping[str, Any] | None) -> Any:
        return self.package.init(
            project=self._options.project,
            entity=self._options.entity,
            name=name,
            id=run_id(self.folder),
            resume="allow",
            config=config,
            allow_val_change=True,  # as when a finished run is continued
            dir=str(self.folder),
            reinit="create_new",  # a run of the caller's own goes on
            settings=self.package.Settings(console="off"),
        )

    def finish(self, *, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
        if self.package.run is None:
            self.package.teardown()  # its threads would stay


@final
class Trackio(_Logger):
    """Writes into trackio's own database, or sends to a Space."""

    def __init__(self, options: TrackioOptions, *, folder: Path) -> None:
        """Begin nothing yet.

        Raises:
            EnvironmentProblem: if trackio is not installed, or the folder cannot be made.
        """
        super().__init__(import_tracker("trackio", extra="trackio"), folder=folder)
        self._options = options

    def open(self, *, name: str, config: Mapping[str, Any] | None) -> Any:
        with contextlib.redirect_stdout(sys.stderr):
            return self.package.init(
                project=self._options.project,
                space_id=self._options.space,
                name=f"{name}-{run_id(self.folder)}",  # by which it is found again
                resume="allow",
                config=config,
                embed=False,
            )

    def finish(self, *, failed: bool) -> None:
        del failed
        with contextlib.redirect_stdout(sys.stderr):
            self.package.finish()
