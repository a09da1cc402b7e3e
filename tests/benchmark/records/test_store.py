"""Tensors on disk, and files that are whole or absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.records.files import file_lock, write_text
from benchmark.records.store import ArtifactStore, FileCheckpoint, load_tensors, save_tensors
from envs import UserError, make_task
from methods.base import Artifacts, Tensors

VERSIONS = {"samples": 1}


def numbers(_: Artifacts) -> Tensors:
    return {"numbers": torch.arange(6.0).reshape(2, 3).T}


def of_a_part(parts: Artifacts) -> Tensors:
    return parts.get("samples", {}, VERSIONS, numbers)


def never(_: Artifacts) -> Tensors:
    raise AssertionError("made again")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path, make_task("R+L2"))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"\xff" * len(b)])
def test_a_damaged_file_is_refused_and_set_aside(store: ArtifactStore, damage: Callable[[bytes], bytes]) -> None:
    store.get("flows", {}, VERSIONS, numbers)
    path = store.path("flows")
    path.write_bytes(damaged := damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"renamed to R\+L2.damaged; run again to replace it"):
        store.get("flows", {}, VERSIONS, numbers)
    assert path.with_suffix(".damaged").read_bytes() == damaged
    assert torch.equal(store.get("flows", {}, VERSIONS, numbers)["numbers"], numbers(store)["numbers"])


@pytest.mark.parametrize("change", ["config", "versions", "task"])
def test_an_artifact_of_another_key_is_made_anew(store: ArtifactStore, change: str) -> None:
    store.get("flows", {"a": 1}, VERSIONS, lambda _: {"old": torch.zeros(1)})
    if change == "task":
        (store.folder / "flows" / "R+N.safetensors").write_bytes(store.path("flows").read_bytes())
        store = ArtifactStore(store.folder, make_task("R+N"))
    config = {"a": 2 if change == "config" else 1}
    versions = {"samples": 2} if change == "versions" else VERSIONS
    assert "numbers" in store.get("flows", config, versions, numbers)


def test_an_artifact_of_other_libraries_is_made_anew_where_that_is_asked(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.get("flows", {}, VERSIONS, of_a_part)
    strict = ArtifactStore(store.folder, store.task, same_libraries=True)
    strict.get("flows", {}, VERSIONS, never)
    monkeypatch.setattr("benchmark.records.store.library_versions", lambda: {"torch": "0.1"})
    store.get("flows", {}, VERSIONS, never)
    with pytest.raises(AssertionError, match="made again"):
        strict.get("samples", {}, VERSIONS, never)
    strict.get("flows", {}, VERSIONS, of_a_part)
    strict.get("samples", {}, VERSIONS, never)


def test_its_cost_is_what_making_it_and_its_parts_took(store: ArtifactStore) -> None:
    store.get("flows", {}, VERSIONS, of_a_part)
    again = ArtifactStore(store.folder, store.task)
    again.get("flows", {}, VERSIONS, never)
    assert again.cost == pytest.approx(store.cost, abs=1e-5)
    parts = ArtifactStore(store.folder, store.task)
    parts.get("samples", {}, VERSIONS, never)
    assert again.cost >= parts.cost


def test_a_preparation_goes_on_from_what_it_saved(store: ArtifactStore) -> None:
    def stop(parts: Artifacts) -> Tensors:
        assert parts.checkpoint.load() is None
        parts.checkpoint.save({"so far": torch.ones(3)})
        raise KeyboardInterrupt

    def go_on(parts: Artifacts) -> Tensors:
        state = parts.checkpoint.load()
        assert state is not None
        return state

    with pytest.raises(KeyboardInterrupt):
        store.get("flows/a", {}, VERSIONS, stop)
    assert not store.path("flows/a").exists()
    path = store.folder / "unfinished/flows/a/R+L2.safetensors"
    tensors, facts = load_tensors(path)
    save_tensors(path, tensors, facts | {"seconds": "100"})
    again = ArtifactStore(store.folder, store.task)
    assert torch.equal(again.get("flows/a", {}, VERSIONS, go_on)["so far"], torch.ones(3))
    # With the time before the interruption.
    assert 100 <= again.cost < 110
    assert not path.exists()


def test_work_of_other_libraries_starts_anew(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = FileCheckpoint(store.folder / "unfinished", "key")
    checkpoint.save({"so far": torch.ones(3)})
    assert checkpoint.load() is not None
    monkeypatch.setattr("benchmark.records.store.library_versions", lambda: {"torch": "0.1"})
    assert checkpoint.load() is None


def test_parts_count_once_though_the_work_was_interrupted(store: ArtifactStore) -> None:
    def stop(parts: Artifacts) -> Tensors:
        parts.get("samples", {}, VERSIONS, numbers)
        # As if they had taken long.
        path = store.path("samples")
        tensors, facts = load_tensors(path)
        save_tensors(path, tensors, facts | {"seconds": "1000"})
        parts.waited += 1000
        parts.checkpoint.started -= 1000
        parts.checkpoint.save({"so far": torch.ones(3)})
        raise KeyboardInterrupt

    def go_on(parts: Artifacts) -> Tensors:
        assert parts.checkpoint.load() is not None
        return parts.get("samples", {}, VERSIONS, never)

    with pytest.raises(KeyboardInterrupt):
        store.get("flows/a", {}, VERSIONS, stop)
    store.get("flows/a", {}, VERSIONS, go_on)
    assert 1000 <= store.cost < 1010


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    left, young = tmp_path / ".a.json.0123abcd", tmp_path / ".a.json.89abcdef"
    others = [young, tmp_path / ".b.json.0123abcd", tmp_path / ".a.json.holder.bak"]
    for path in (left, *others):
        path.touch()
        os.utime(path, None if path == young else (0, 0))
    with file_lock(tmp_path / "a.json"):
        assert not left.exists()
    assert all(path.exists() for path in others)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_are_for_those_whom_the_umask_lets(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
