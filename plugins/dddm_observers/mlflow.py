"""A run in MLflow, on the server or in the database that `MLFLOW_TRACKING_URI` names.

Tags are those of `tracker`, with - for characters that MLflow does not allow in names.  The recipe
is the artifact `recipe.toml` and, value by value, the run's parameters, such as `train.epochs`.
"""

import re
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, final

from dddm.errors import EnvironmentProblem
from dddm.support.single_thread_executor import single_thread_executor
from dddm_observers.options import MlflowOptions
from dddm_observers.tracker import Tracker, import_tracker, make_folder

_MOST_METRICS: Final = 1000  # of one request
_MOST_PARAMETERS: Final = 100
_STATUS: Final = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


@final
class Mlflow(Tracker):
    """Sends by a thread of its own, numbers in batches; a resumed run is the same run.

    It repeats the steps that its last checkpoint did not hold.  MLflow's parameters cannot change:
    where a run is continued with other values, the recipe says what holds.
    """

    def __init__(self, options: MlflowOptions, *, folder: Path) -> None:
        """Look for the experiment, so that a run does not start that could not be followed.

        Raises:
            EnvironmentProblem: if mlflow is not installed, its store cannot be reached, or the
                folder cannot be made.
        """
        super().__init__()
        self._package = import_tracker("mlflow", extra="mlflow")
        self._folder = make_folder(folder, tracker="mlflow")
        self._send_seconds = options.send_seconds
        try:
            self._client = self._package.MlflowClient(tracking_uri=options.tracking_uri)
            found = self._client.get_experiment_by_name(options.experiment)
            self._experiment: str = (
                self._client.create_experiment(options.experiment)
                if found is None
                else found.experiment_id
            )
        except self._package.MlflowException as error:
            raise EnvironmentProblem(
                f"MLflow cannot be used: {error}",
                where="[[observe]]",
                remedy="correct tracking_uri, or the environment variable MLFLOW_TRACKING_URI",
            ) from error
        self._run: str | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._at_work: deque[Future[Any]] = deque()
        self._waiting: list[Any] = []
        self._sent_at = time.monotonic()

    def start(self, *, first_step: int, recipe: str | None) -> None:
        del first_step
        run = self._opened()
        self._submit(self._client.update_run, run, status="RUNNING")
        if recipe is not None:
            self._submit(self._client.log_text, run, recipe, "recipe.toml")
            self._submit(self._log_parameters, run, tomllib.loads(recipe))

    def numbers(self, numbers: Mapping[str, float], *, step: int | None) -> None:
        self._opened()
        now = round(1000 * time.time())
        self._waiting += [
            self._package.entities.Metric(_name(tag), number, now, step or 0)
            for tag, number in numbers.items()
        ]
        if time.monotonic() - self._sent_at >= self._send_seconds:
            self._send()

    def picture(self, tag: str, path: Path, *, step: int | None) -> None:
        from PIL import Image

        with Image.open(path) as drawn:
            image = drawn.convert("RGB")
        key, run = _name(tag), self._opened()
        self._submit(self._client.log_image, run, image, key=key, step=step or 0, synchronous=True)

    def stop(self, reason: str) -> None:
        if self._run is not None:
            self._send()
            self._submit(self._client.set_terminated, self._run, status=_STATUS[reason])

    def close(self) -> None:
        if self._executor is None:
            return
        try:
            self._send()
            for work in self._at_work:
                work.result()
        finally:
            self._executor.shutdown(cancel_futures=True)
            self._executor, self._run = None, None

    def _opened(self) -> str:
        if self._run is None:
            self._run = self._find_run()
            self._executor = single_thread_executor("mlflow")
        return self._run

    def _find_run(self) -> str:
        """That of the folder, if the store still has it, or else a new one."""
        kept = self._folder / "id"
        if kept.exists():
            try:
                known: str = self._client.get_run(kept.read_text("utf-8").strip()).info.run_id
            except self._package.MlflowException:
                pass  # removed, or of another store
            else:
                return known
        made = self._client.create_run(self._experiment, run_name=self._folder.parents[1].name)
        kept.write_text(f"{made.info.run_id}\n", encoding="utf-8")
        return str(made.info.run_id)

    def _log_parameters(self, run: str, recipe: Mapping[str, Any]) -> None:
        known = self._client.get_run(run).data.params
        new = [
            self._package.entities.Param(_name(key), str(value))
            for key, value in _leaves(recipe)
            if _name(key) not in known
        ]
        for first in range(0, len(new), _MOST_PARAMETERS):
            self._client.log_batch(run, params=new[first : first + _MOST_PARAMETERS])

    def _send(self) -> None:
        for first in range(0, len(self._waiting), _MOST_METRICS):
            batch = self._waiting[first : first + _MOST_METRICS]
            self._submit(self._client.log_batch, self._run, metrics=batch)
        self._waiting, self._sent_at = [], time.monotonic()

    def _submit(self, work: Callable[..., Any], *given: Any, **named: Any) -> None:
        assert self._executor is not None
        self._at_work.append(self._executor.submit(work, *given, **named))
        while self._at_work and self._at_work[0].done():
            self._at_work.popleft().result()


def _name(tag: str) -> str:
    return re.sub(r"[^\w./: -]", "-", tag)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Values in nested tables and lists of tables, by their path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{number}")
    else:
        yield path, value
