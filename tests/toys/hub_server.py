"""A small Hugging Face Hub on this machine: the routes that `huggingface_hub` uses.

Weights and images go the way of large files (LFS), everything else stands in the commit.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, final
from urllib.parse import unquote, urlsplit

TOKEN = "hf_ofthetest"  # noqa: S105 - opens nothing
LARGE = (".safetensors", ".npz", ".png")


@final
class Repository:
    """Files by name of each commit, and which commit is the head of each branch."""

    def __init__(self, *, private: bool) -> None:
        self.private = private
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Make these files the contents of a branch; the name of the commit."""
        contents = json.dumps([len(self.commits), sorted(files)]).encode()
        sha = hashlib.sha1(contents).hexdigest()  # noqa: S324 - git's
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def change(self, name: str, contents: bytes | None) -> None:
        """Change one file on `main`, or remove it, behind the back of whoever shared it."""
        files = dict(self.commits[self.branches["main"]])
        files.pop(name, None)
        self.commit("main", files if contents is None else {**files, name: contents})

    def find(self, revision: str) -> str | None:
        sha = self.branches.get(revision, revision)
        return sha if sha in self.commits else None


@final
class Hub:
    """What the server has, and what it was asked for.

    Attributes:
        fail_with: a status that every request is answered with; None: none.
        asked: method and path of each request.
        got: bytes that were downloaded, by name of the file.
    """

    def __init__(self) -> None:
        self.url = ""
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.fail_with: int | None = None
        self.asked: list[str] = []
        self.got: dict[str, int] = {}

    def put(self, repo: str, files: dict[str, bytes]) -> Repository:
        """Make a public repository with these files on `main`."""
        repository = self.repositories.setdefault(repo, Repository(private=False))
        repository.commit("main", files)
        return repository


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve an empty Hub until the block ends."""
    hub = Hub()

    @final
    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: Hub

    def do_GET(self) -> None:
        self._answer(
            {
                r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?": self._info,
                r"/api/models/([^/]+/[^/]+)/tree/([^/]+)": self._tree,
                r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self._file,
            }
        )

    def do_HEAD(self) -> None:
        self._answer({r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self._file})

    def do_POST(self) -> None:
        self._answer(
            {
                r"/api/repos/create": self._create,
                r"/api/validate-yaml": self._validate,
                r"/api/models/([^/]+/[^/]+)/branch/(.+)": self._branch,
                r"/api/models/([^/]+/[^/]+)/preupload/(.+)": self._preupload,
                r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch": self._batch,
                r"/api/models/([^/]+/[^/]+)/commit/(.+)": self._commit,
            }
        )

    def do_PUT(self) -> None:
        self._answer({r"/large/([0-9a-f]{64})": self._put_large})

    def _answer(self, routes: dict[str, Callable[..., None]]) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        path = urlsplit(self.path).path
        self.served.asked.append(f"{self.command} {unquote(path)}")
        if self.served.fail_with is not None:
            self._refuse(self.served.fail_with)
            return
        for pattern, answer in routes.items():
            found = re.fullmatch(pattern, path)
            if found is not None:
                answer(*(part and unquote(part) for part in found.groups()))
                return
        self._refuse(404, "EntryNotFound")

    def _repository(self, name: str) -> Repository | None:
        """Answers itself where there is none that may be seen."""
        found = self.served.repositories.get(name)
        if found is None or (found.private and not self._authorized):
            self._refuse(404, "RepoNotFound")
            return None
        return found

    @property
    def _authorized(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _may_write(self) -> bool:
        if not self._authorized:
            self._refuse(401)
        return self._authorized

    def _json(self, contents: Any, status: int = 200) -> None:
        data = json.dumps(contents).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, code: str = "") -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _contents(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        repository = self._repository(name)
        if repository is None:
            return None
        sha = repository.find(revision)
        if sha is None:
            self._refuse(404, "RevisionNotFound")
            return None
        return sha, repository.commits[sha]

    def _info(self, name: str, revision: str | None) -> None:
        found = self._contents(name, revision or "main")
        if found is None:
            return
        sha, files = found
        siblings = [{"rfilename": one["path"], **one} for one in map(_about, files.items())]
        private = self.served.repositories[name].private
        self._json({"id": name, "sha": sha, "private": private, "siblings": siblings})

    def _tree(self, name: str, revision: str) -> None:
        found = self._contents(name, revision)
        if found is not None:
            self._json([{"type": "file", **_about(file)} for file in found[1].items()])

    def _file(self, name: str, revision: str, path: str) -> None:
        found = self._contents(name, revision)
        if found is None:
            return
        sha, files = found
        if path not in files:
            self._refuse(404, "EntryNotFound")
            return
        data = files[path]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", sha)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.served.got[path] = len(data)
            self.wfile.write(data)

    def _create(self) -> None:
        if not self._may_write():
            return
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        there = name in self.served.repositories
        if not there:
            private = asked.get("private") is True or asked.get("visibility") == "private"
            self.served.repositories[name] = Repository(private=private)
        self._json({"url": f"{self.served.url}/{name}", "name": name}, 409 if there else 200)

    def _validate(self) -> None:
        """As the Hub does: YAML between two rules, of which some entries have a known form."""
        import yaml

        _, front, _ = json.loads(self.body)["content"].split("---\n", 2)
        try:
            card = yaml.safe_load(front)
            assert isinstance(card["library_name"], str)
            assert all(isinstance(tag, str) for tag in card["tags"])
            for model in card.get("model-index", ()):
                for result in model["results"]:
                    assert {"type", "name"} <= set(result["dataset"])
                    assert result["task"]["type"]
                    assert all({"type", "value"} <= set(one) for one in result["metrics"])
        except (yaml.YAMLError, AssertionError, KeyError) as error:
            self._json({"errors": [{"message": repr(error)}]}, 400)
            return
        self._json({"errors": [], "warnings": []})

    def _branch(self, name: str, branch: str) -> None:
        repository = self._repository(name) if self._may_write() else None
        if repository is None:
            return
        there = branch in repository.branches
        repository.branches.setdefault(branch, repository.branches["main"])
        self._json({}, 409 if there else 200)

    def _preupload(self, name: str, _revision: str) -> None:
        if not self._may_write() or self._repository(name) is None:
            return
        self._json(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(self.body)["files"]
                ]
            }
        )

    def _batch(self, _name: str) -> None:
        objects = [
            {
                **one,
                "actions": {"upload": {"href": f"{self.served.url}/large/{one['oid']}"}},
            }
            for one in json.loads(self.body)["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _put_large(self, sha256: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == sha256
        self.served.large[sha256] = self.body
        self._json({})

    def _commit(self, name: str, branch: str) -> None:
        found = self._contents(name, branch) if self._may_write() else None
        if found is None:
            return
        files = dict(found[1])
        for line in self.body.splitlines():
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.served.large[value["oid"]]
            elif key in {"deletedFile", "deletedFolder"}:
                files = {
                    one: data for one, data in files.items() if not fnmatch(one, value["path"])
                }
        sha = self.served.repositories[name].commit(branch, files)
        url = f"{self.served.url}/{name}/commit/{sha}"
        self._json({"commitUrl": url, "commitOid": sha})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        return


def _about(file: tuple[str, bytes]) -> dict[str, Any]:
    name, data = file
    sha256 = hashlib.sha256(data).hexdigest()
    large = {"lfs": {"oid": sha256, "sha256": sha256, "size": len(data), "pointerSize": 130}}
    about = {"path": name, "size": len(data), "oid": sha256[:40], "blobId": sha256[:40]}
    return {**about, **(large if name.endswith(LARGE) else {})}
