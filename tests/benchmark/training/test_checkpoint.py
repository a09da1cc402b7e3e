"""Runs that are interrupted at some step and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.records.store import SHARE, RunCheckpoint
from benchmark.training.harness import Outcome, train
from envs import make_task
from tests.methods.learners import settings

# Episodes of R+O03 end at 50, 100 and 150, those of BSS-3 at 100 and 200.
STEPS = 230


def config(method: str, task: str) -> RunConfig:
    evaluation = EvaluationSettings(every=70, episodes=1, final_episodes=2)
    noise = {"noise": 5.0} if task.startswith("BSS") else {}
    made = settings(method, warmup=60, replay_size=120, **noise)
    return RunConfig(steps=STEPS, evaluation=evaluation, update_at="episode", timeout_seconds=None, method=made)


def run(task: str, method: str, folder: Path, checkpoint: RunCheckpoint | None, stop_at: int = 0) -> Outcome:
    def progress(step: int) -> None:
        if step == stop_at:
            raise KeyboardInterrupt

    return train(make_task(task), method, config(method, task), 0, folder, progress, checkpoint)


def measured(outcome: Outcome) -> dict[str, Any]:
    """Everything but wall-clock and tensors."""
    return {name: value for name, value in vars(outcome).items() if name not in ("seconds", "state")}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.mark.parametrize(("task", "method"), [("R+O03", "flowpg"), ("R+O03", "dpro"), ("BSS-3", "nfw")])
def test_a_run_that_is_stopped_twice_ends_as_one_that_is_not(
    task: str, method: str, artifacts: Path, tmp_path: Path
) -> None:
    whole = run(task, method, artifacts, None)
    for stop_at in (110, 220):
        with pytest.raises(KeyboardInterrupt):
            run(task, method, artifacts, RunCheckpoint(tmp_path / "run.safetensors", "key", every=0), stop_at)
    steps: list[int] = []
    checkpoint = RunCheckpoint(tmp_path / "run.safetensors", "key", every=0)
    resumed = train(make_task(task), method, config(method, task), 0, artifacts, steps.append, checkpoint)
    assert steps[0] == 201
    assert measured(resumed) == measured(whole)
    assert resumed.state.keys() == whole.state.keys()
    assert all(torch.equal(value, whole.state[name]) for name, value in resumed.state.items())


def test_a_checkpoint_of_older_code_that_kept_less_is_left(tmp_path: Path, artifacts: Path) -> None:
    checkpoint = RunCheckpoint(tmp_path / "run.safetensors", "key", every=0)
    with pytest.raises(KeyboardInterrupt):
        run("R+O03", "ddpg-penalty", artifacts, checkpoint, stop_at=110)
    state = checkpoint.load()
    assert state is not None
    facts = json.loads(bytes(state["facts"].tolist()))
    del facts["visited_steps"]
    checkpoint.save(state | {"facts": torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)})
    again, whole = (run("R+O03", "ddpg-penalty", artifacts, one) for one in (checkpoint, None))
    assert measured(again) == measured(whole)


def test_its_time_is_that_of_all_its_parts(tmp_path: Path, artifacts: Path) -> None:
    checkpoint = RunCheckpoint(tmp_path / "run.safetensors", "key", every=0)
    with pytest.raises(KeyboardInterrupt):
        run("R+O03", "ddpg-penalty", artifacts, checkpoint, stop_at=110)
    state = checkpoint.load()
    assert state is not None
    facts = json.loads(bytes(state["facts"].tolist()))
    facts["seconds"]["update"] += 1000
    checkpoint.save(state | {"facts": torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)})
    seconds = run("R+O03", "ddpg-penalty", artifacts, checkpoint).seconds
    assert 1000 < seconds.update < seconds.total < 1100


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda _: b""])
def test_a_checkpoint_of_another_key_is_left_and_a_damaged_one_is_named_and_set_aside(
    tmp_path: Path, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.safetensors"
    RunCheckpoint(path, "key").save({"facts": torch.arange(9)})
    assert RunCheckpoint(path, "of other code or settings").load() is None
    assert RunCheckpoint(path, "key").load() is not None
    path.write_bytes(damage(path.read_bytes()))
    assert RunCheckpoint(path, "key").load() is None
    assert f"{path} is " in capsys.readouterr().err
    assert [found.name for found in tmp_path.iterdir()] == ["run.damaged"]


def test_it_waits_until_writing_costs_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.records.store.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("benchmark.records.store.save_tensors", lambda *_: now.__setitem__(0, now[0] + 5))
    checkpoint = RunCheckpoint(tmp_path / "a", "key", every=60)
    assert not checkpoint.due()
    now[0] = 60.0
    assert checkpoint.due()
    checkpoint.save({})
    now[0] = 65 + 5 / SHARE - 1
    assert not checkpoint.due()
    now[0] += 1
    assert checkpoint.due()
