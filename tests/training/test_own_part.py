"""Each of several processes reads, verifies, restores and orders its own part of a run only."""

import resource
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from pack_sources import ToySource
from safetensors import safe_open
from together import together
from torch import Tensor

from dddm.data import packed as packed_data
from dddm.data.pack import identity_key
from dddm.data.packed import PackedDataset
from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.shards import Shards
from dddm.support import files
from dddm.training import checkpoint as checkpoints
from dddm.training import memory, processes
from dddm.training.batches import BatchPlan
from dddm.training.build import open_splits
from dddm.training.memory import SavedStates, gather_rows

SHARDS = 8


def rows_of(shard: int) -> dict[str, Tensor]:
    return {"rows": torch.full((3, 2), float(shard)), "epoch": torch.tensor([shard])}


def save(folder: Path, *, count: int) -> Path:
    """A checkpoint of so many processes, with a store of eight shards."""

    def write(one: Any) -> Path:
        owned = Shards.of_process(images=24, count=SHARDS, rank=one.rank, processes=count).owned
        states = {
            f"{shard:04d}.{part}": tensor
            for shard in owned
            for part, tensor in rows_of(shard).items()
        }
        return checkpoints.save(
            folder,
            step=7,
            groups={"model": {"a": torch.ones(4)}, "ema": {"a": torch.zeros(4)}},
            state={},
            own={f"memory-estimate-{one.rank:04d}": states},
            processes=one,
        )

    paths = together(write, count=count)
    assert len(set(paths)) == 1
    path: Path = paths[0]
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Thread and file of each checksum that is computed."""
    seen: list[tuple[str, str]] = []

    def noted(path: Path) -> str:
        seen.append((threading.current_thread().name, path.name))
        return files.sha256_of(path)

    monkeypatch.setattr(checkpoints, "sha256_of", noted)
    return seen


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_every_file_is_verified_once(
    tmp_path: Path, hashed: list[tuple[str, str]], count: int
) -> None:
    """However many processes resume; with as many as saved, each verifies the rows it will read."""
    path = save(tmp_path, count=4)
    hashed.clear()
    mine: dict[str, int] = {}

    def read(one: Any) -> Any:
        mine[threading.current_thread().name] = one.rank
        return checkpoints.find_newest(tmp_path, processes=one).checkpoint

    found = together(read, count=count)
    assert all(one == found[0] and one.folder == path for one in found)
    names = Counter(name for _, name in hashed if name != "manifest.json")
    rows = [f"memory-estimate-{rank:04d}.safetensors" for rank in range(4)]
    assert names == Counter(["ema.safetensors", "model.safetensors", "state.json", *rows])
    if count == 4:
        ranks = {name: mine[thread] for thread, name in hashed if name in rows}
        assert ranks == {name: rank for rank, name in enumerate(rows)}


@pytest.mark.parametrize("name", ["model.safetensors", "memory-estimate-0003.safetensors"])
def test_all_processes_refuse_what_one_finds_damaged(tmp_path: Path, name: str) -> None:
    path = save(tmp_path, count=4)
    data = bytearray((path / name).read_bytes())
    data[-1] ^= 1
    (path / name).write_bytes(data)
    found = together(lambda one: checkpoints.find_newest(tmp_path, processes=one), count=4)
    assert all(isinstance(error, DataError) and name in error.what for error in found)


def test_rows_are_not_read_by_those_who_need_none(
    tmp_path: Path, hashed: list[tuple[str, str]]
) -> None:
    """As for samples: a store may be a thousand times the network."""
    path = save(tmp_path, count=2)
    (path / "memory-estimate-0001.safetensors").write_bytes(b"damaged")
    hashed.clear()
    assert checkpoints.read(path, memory=False).step == 7
    assert not any(name.startswith("memory") for _, name in hashed)
    (path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"model\.safetensors"):
        checkpoints.read(path, memory=False)


def test_a_checkpoint_that_is_saved_again_is_verified_by_all(
    tmp_path: Path, hashed: list[tuple[str, str]]
) -> None:
    """A whole one is left as it is, without the first process reading all of it."""
    path = save(tmp_path, count=4)
    before = (path / "model.safetensors").stat().st_mtime_ns
    hashed.clear()
    assert save(tmp_path, count=4) == path
    assert (path / "model.safetensors").stat().st_mtime_ns == before
    assert max(Counter(name for _, name in hashed if name != "manifest.json").values()) == 1


@pytest.mark.parametrize(("saved", "now"), [(4, 4), (4, 2), (2, 8), (1, 4)])
def test_only_files_of_own_shards_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: int, now: int
) -> None:
    """And the rows are those of the shard, whoever saved them."""
    found = checkpoints.read(save(tmp_path, count=saved))
    opened: list[str] = []

    def noted(path: Path, framework: str) -> Any:
        opened.append(path.name)
        return safe_open(path, framework)

    monkeypatch.setattr(memory, "safe_open", noted)
    for rank in range(now):
        opened.clear()
        states = SavedStates(found.files, field="estimate", shards=SHARDS)
        owned = Shards.of_process(images=24, count=SHARDS, rank=rank, processes=now).owned
        for shard in owned:
            assert shard in states
            state = states[shard]
            assert set(state) == {"rows", "epoch"}
            assert torch.equal(state["rows"], rows_of(shard)["rows"])
        holders = {f"memory-estimate-{s * saved // SHARDS:04d}.safetensors" for s in owned}
        assert Counter(opened).total() == len(owned)
        assert set(opened) == holders
    assert SHARDS not in states
    assert len(states) == SHARDS


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_order_of_a_part_is_that_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """And only its own shards are shuffled."""
    plan = BatchPlan.make(images=107, batch_images=24, shards=8, seed=5)
    whole = plan.epoch(3)
    shuffled: list[int] = []
    randperm = torch.randperm

    def noted(size: int, **more: Any) -> Tensor:
        shuffled.append(size)
        return randperm(size, **more)

    for rank in range(count):
        part = plan.process_slice(rank=rank, processes=count)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randperm", noted)
            rows = plan.rows_of_epoch(3, part=part)
        assert len(shuffled) == 8 // count
        shuffled.clear()
        for batch in range(plan.batches_per_epoch):
            assert torch.equal(rows(batch).index, whole[batch, part])
            assert torch.equal(rows(batch).rows, whole[batch, part])


def test_the_first_process_alone_looks_at_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files may be millions; what it packed is opened by all."""
    walks: list[str] = []

    def noted(source: Any) -> str:
        walks.append(threading.current_thread().name)
        return identity_key(source)

    monkeypatch.setattr(packed_data, "identity_key", noted)

    class Config:
        def instantiate(self) -> PackedDataset:
            return PackedDataset(name="toy", source=ToySource(), packed=str(tmp_path / "packed"))

    def work(one: Any) -> Any:
        config: Any = Config()
        return open_splits(config, processes=one)["train"].images(torch.arange(10))

    found = together(work, count=3)
    assert len(walks) == 1
    assert all(torch.equal(images, found[0]) for images in found)


def test_rows_for_the_diagnosis_come_to_the_first_process_in_order() -> None:
    """Whichever process owns them, and where one owns none of them."""

    class Store:
        def peek(self, index: Tensor) -> Tensor:
            return index[:, None].float() * 10

    def work(one: Any) -> Any:
        shards = Shards.of_process(images=24, count=SHARDS, rank=one.rank, processes=4)
        store: Any = Store()
        context: Any = type("Context", (), {"processes": one, "device": torch.device("cpu")})
        return gather_rows(
            memory.Memory(stores={"estimate": store}, shards=shards),
            context,
            torch.tensor([9, 0, 3, 1]).sort().values,
        )

    first, *others = together(work, count=4)
    assert torch.equal(first["estimate"], torch.tensor([[0.0], [10.0], [30.0], [90.0]]))
    assert others == [None, None, None]


def test_too_few_descriptors_are_refused_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the number that is needed; a low soft limit is raised."""
    limits: list[Any] = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    processes._allow_descriptors(64)
    assert limits == [(1024, 4096)]
    processes._allow_descriptors(900)
    assert limits[-1] == (3856, 4096)
    with pytest.raises(EnvironmentProblem, match="1024 processes need up to 4,352") as refused:
        processes._allow_descriptors(1024)
    assert "ulimit -Hn 4352" in str(refused.value.remedy)
