"""Runs on the Hugging Face Hub, through `huggingface_hub` (the extra `hub`): `hf://user/name`.

Downloads go to the Hub's own cache, and only files that a portable run has.  What may be listed,
and how large it may be, is settled before anything of it is downloaded.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from dddm.errors import DataError, DddmError, EnvironmentProblem, UsageError
from dddm.training.portable import (
    LARGEST_MANIFEST_BYTES,
    MANIFEST,
    ListedFile,
    check_files,
    read_list,
    without_samples,
)

_LOGIN: Final = "log in with `hf auth login`, or set the environment variable HF_TOKEN"


def download(repo: str, *, revision: str | None, samples: bool) -> Path:
    """The folder of a portable run in the Hub's cache, each of its files as its list says.

    Without a connection, what was downloaded before is used.

    Args:
        repo: `user/name`.
        revision: a branch, tag or commit; None for `main`.
        samples: whether to get samples, scores and card too.

    Raises:
        DataError: if there is no portable run, or a file is missing, changed or too large.
        EnvironmentProblem: without the package, or where the Hub cannot be reached.
        UsageError: if there is no such repository or revision.
    """
    hub = library()
    failed = "the Hugging Face Hub cannot be reached, and its cache does not hold the whole run"
    with _explained(repo, revision, failed=failed):
        sizes = _sizes(hub, repo, revision)

        def get(names: list[str]) -> Path:
            return Path(
                hub.snapshot_download(
                    repo,
                    revision=revision,
                    allow_patterns=names,
                    local_files_only=sizes is None,
                    library_name="dddm",
                )
            )

        if sizes is not None:
            _check_manifest_size(sizes, repo)
        files = read_list(get([MANIFEST]) / MANIFEST)
        wanted = list(files) if samples else without_samples(files)
        if sizes is not None:
            _check_sizes(sizes, {name: files[name] for name in wanted}, repo)
        folder = get([MANIFEST, *wanted])
        files = read_list(folder / MANIFEST)  # the branch may have moved on meanwhile
        check_files(folder, {name: files[name] for name in wanted if name in files})
    return folder


def _sizes(hub: Any, repo: str, revision: str | None) -> dict[str, int] | None:
    """Bytes of every file of a repository; None where the Hub cannot be reached."""
    try:
        info = hub.HfApi(library_name="dddm").model_info(
            repo, revision=revision, files_metadata=True
        )
    except hub.errors.HfHubHTTPError as error:
        if _status(error) < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return None
    except ValueError:
        raise
    except Exception:  # noqa: BLE001 - of the HTTP client, which differs between versions
        return None
    return {one.rfilename: one.size or 0 for one in info.siblings or ()}


def _check_manifest_size(sizes: Mapping[str, int], repo: str) -> None:
    if MANIFEST not in sizes:
        raise DataError(
            f"this repository is not a portable run: it has no {MANIFEST}",
            where=f"hf://{repo}",
            remedy="name one that was made with `dddm push`",
        )
    if sizes[MANIFEST] > LARGEST_MANIFEST_BYTES:
        raise DataError(
            f"its {MANIFEST} has {sizes[MANIFEST]:,} bytes, which no portable run needs",
            where=f"hf://{repo}",
            remedy="do not use this run",
        )


def _check_sizes(sizes: Mapping[str, int], files: Mapping[str, ListedFile], repo: str) -> None:
    for name, listed in files.items():
        if sizes.get(name) != listed.bytes:
            there = f"has {sizes[name]:,} bytes" if name in sizes else "is missing"
            raise DataError(
                f"{name} {there} on the Hub instead of {listed.bytes:,}: it was changed after the "
                "run was shared, or is incomplete",
                where=f"hf://{repo}",
                remedy="ask whoever made the run to share it again with `dddm push`, or name an "
                f"earlier revision: hf://{repo}@COMMIT",
            )


def upload(folder: Path, repo: str, *, private: bool, revision: str | None) -> str:
    """Make a portable run the contents of a repository, in one commit; the commit's URL.

    The repository, and the branch `revision`, are made where there are none.

    Raises:
        EnvironmentProblem: without the package or a token, or where the Hub cannot be reached.
        UsageError: if the token may not write there, or the repository is public and was to be
            private.
    """
    check_token(repo)
    hub = library()
    api = hub.HfApi(library_name="dddm")
    with _explained(repo, revision, failed="the run could not be sent to the Hugging Face Hub"):
        api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.model_info(repo).private:
            raise UsageError(
                "the repository exists and is public",
                where=f"hf://{repo}",
                remedy="make it private on its page, name another one, or leave --private out",
            )
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            revision=revision,
            commit_message="Share a run of dddm",
            # Of a run that was there before.
            delete_patterns=["checkpoints/*", "samples/*", "scores.json"],
        )
    return str(commit.commit_url)


def check_token(repo: str) -> None:
    """Check that there is an access token, before there is any work.

    Raises:
        EnvironmentProblem: without one, or without the package.
    """
    if library().get_token() is None:
        raise EnvironmentProblem(
            "sharing a run needs an access token of the Hugging Face Hub, and there is none",
            where=f"hf://{repo}",
            remedy=f"{_LOGIN}; tokens are made at https://huggingface.co/settings/tokens, with the "
            "right to write",
        )


def library() -> Any:
    """The package `huggingface_hub`.

    Raises:
        EnvironmentProblem: if it is not installed.
    """
    try:
        importlib.import_module("huggingface_hub.errors")
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise EnvironmentProblem(
            "runs on the Hugging Face Hub need the package huggingface_hub",
            where="hf://",
            remedy="pip install 'dddm[hub]'",
        ) from error


@contextmanager
def _explained(repo: str, revision: str | None, *, failed: str) -> Iterator[None]:
    """Turn what the client raises into errors that say what to do.

    Args:
        failed: what is said where the Hub did not answer.
    """
    errors = library().errors
    where = f"hf://{repo}" + ("" if revision is None else f"@{revision}")
    try:
        yield
    except DddmError:
        raise
    except Exception as error:
        for kind, what, remedy in (
            (errors.GatedRepoError, "access to this repository is restricted",
             f"ask for access at https://huggingface.co/{repo}; then {_LOGIN}"),
            (errors.RevisionNotFoundError, "the repository has no such revision",
             "name a branch, tag or commit that its page lists, or leave it out"),
            (errors.RepositoryNotFoundError, "there is no such repository on the Hub",
             f"check the name; if the repository is private, {_LOGIN}"),
            (errors.HFValidationError, f"no repository has such a name: {_first_line(error)}",
             "write it as hf://USER/NAME or hf://USER/NAME@REVISION"),
        ):  # fmt: skip
            if isinstance(error, kind):
                raise UsageError(what, where=where, remedy=remedy) from error
        if _status(error) in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise UsageError(
                "the Hub refuses the access token",
                where=where,
                remedy=f"{_LOGIN} with a token that has the right to write there",
            ) from error
        if _status(error):
            raise EnvironmentProblem(
                f"the Hub answers with an error: {_first_line(error)}",
                where=where,
                remedy="try again later; https://status.huggingface.co says how the Hub is",
            ) from error
        raise EnvironmentProblem(
            f"{failed}: {_first_line(error)}",
            where=where,
            remedy="connect this machine and give the same command again; once downloaded, a run "
            "needs no connection",
        ) from error


def _status(error: Any) -> int:
    """Of the answer that the client raised; 0 for none."""
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
