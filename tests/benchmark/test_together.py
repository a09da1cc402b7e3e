"""Seeds trained as one batch: what the harness measures of each is what it measures of that seed alone."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from benchmark import together
from benchmark.checkpoint import RunCheckpoint
from benchmark.config import EvaluationSettings, RunConfig, load_params
from benchmark.harness import Outcome, train
from benchmark.runs import Run
from benchmark.together import train_together
from benchmark.together_sweep import batch_key, sweep_together, unfinished
from envs import UserError, make_task
from envs.errors import MethodFailedError
from methods.base import Transition
from tests.benchmark.command import acrl, workplace
from tests.benchmark.factories import alter
from tests.methods.learners import settings

SEEDS = (3, 5)


def config(method: str, **changes: Any) -> RunConfig:
    evaluation = EvaluationSettings(every=60, episodes=1, final_episodes=2, judged_steps=20)
    fields = {"steps": 170, "evaluation": evaluation, "update_at": "episode", "timeout_seconds": None}
    return RunConfig(**(fields | {"method": settings(method)} | changes))


def alone(task: str, method: str, folder: Path, **changes: Any) -> dict[int, Outcome]:
    return {
        seed: train(make_task(task), method, config(method, **changes), seed, folder, lambda _: None) for seed in SEEDS
    }


def as_one(task: str, method: str, folder: Path, batched: bool | None = None, **changes: Any) -> dict[int, Any]:
    run = config(method, **changes)
    return train_together(make_task(task), method, run, SEEDS, folder, lambda *_: None, batched=batched)


def own_curves(outcome: Outcome) -> dict[str, list[float | None]]:
    """All but the losses, which are means over the seeds."""
    return {name: values for name, values in outcome.curves.items() if not name.startswith("update/")}


@pytest.mark.parametrize(
    ("task", "method"),
    [
        ("R+L2", "ddpg-penalty"),
        # Episodes of different lengths, so that the seeds' updates come at different times.
        ("H+M", "ddpg-projection"),
        ("HC+O", "ddpg-projection-qp"),
    ],
)
@pytest.mark.parametrize("update_at", ["episode", "step"])
def test_two_seeds_are_what_each_is_alone_to_the_bit(task: str, method: str, update_at: str, tmp_path: Path) -> None:
    expected = alone(task, method, tmp_path, update_at=update_at)
    found = as_one(task, method, tmp_path, update_at=update_at)
    for seed in SEEDS:
        one, other = found[seed], expected[seed]
        for name in ("status", "returns", "final_policy", "violations", "calls", "visited"):
            assert getattr(one, name) == getattr(other, name), name
        assert own_curves(one) == own_curves(other)
        assert set(one.curves) == set(other.curves)
        assert set(one.state) == set(other.state)
        assert all(torch.equal(one.state[name], value) for name, value in other.state.items())


@pytest.mark.parametrize(("task", "method"), [("R+L2", "flowpg"), ("HC+O", "nfw"), ("BSS-3", "flowpg-gauge")])
@pytest.mark.parametrize("batched", [False, True])
def test_what_sees_all_rows_at_once_agrees_up_to_rounding(
    task: str, method: str, batched: bool, tmp_path: Path
) -> None:
    # A product or a root search over more rows at a time may end in other last digits, which training amplifies.
    expected = alone(task, method, tmp_path, steps=60)
    found = as_one(task, method, tmp_path, batched, steps=60)
    for seed in SEEDS:
        assert own_curves(found[seed]).keys() == own_curves(expected[seed]).keys()
        for name, value in expected[seed].state.items():
            if name.startswith("actor."):
                assert torch.allclose(found[seed].state[name], value, atol=1e-4), name
        assert found[seed].calls.project == expected[seed].calls.project
        assert found[seed].calls.oracle_rows == expected[seed].calls.oracle_rows


def test_losses_are_means_over_the_seeds(tmp_path: Path) -> None:
    expected, found = alone("R+L2", "nfw", tmp_path), as_one("R+L2", "nfw", tmp_path)
    for place, mean in enumerate(found[SEEDS[0]].curves["update/critic_loss"]):
        losses = [outcome.curves["update/critic_loss"][place] for outcome in expected.values()]
        assert mean is None if None in losses else mean == pytest.approx(np.mean(losses), rel=1e-3)


# Before learning starts, and after.
@pytest.mark.parametrize("step", [10, 100])
def test_a_seed_that_fails_leaves_the_others_what_they_were(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone("R+L2", "ddpg-penalty", tmp_path)
    seen = together._Member.observe

    def observe(self: together._Member, transition: Transition) -> None:
        if self.seat == 0 and self.own.steps == step:
            raise RuntimeError("on purpose")
        seen(self, transition)

    monkeypatch.setattr(together._Member, "observe", observe)
    found = as_one("R+L2", "ddpg-penalty", tmp_path)
    assert str(found[SEEDS[0]]) == "on purpose"
    assert found[SEEDS[1]].returns == expected[SEEDS[1]].returns


@pytest.mark.parametrize("method", ["ddpg-penalty", "nfw", "ddpg-projection-layer", "flowpg-gauge"])
def test_a_seed_that_diverges_fails_alone(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = together._Member.observe

    def observe(self: together._Member, transition: Transition) -> None:
        if self.seat == 1 and self.own.steps == 80:
            with torch.no_grad():
                self.own.actor[0].bias.fill_(float("nan"))
        seen(self, transition)

    monkeypatch.setattr(together._Member, "observe", observe)
    found = as_one("R+L2", method, tmp_path)
    assert found[SEEDS[0]].status == "complete"
    assert found[SEEDS[0]].curves["update/critic_loss"][0] is not None
    assert isinstance(found[SEEDS[1]], MethodFailedError)
    assert "diverged" in str(found[SEEDS[1]])


def test_an_environment_that_fails_ends_its_own_seed_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = together._WaitingEnv.step, itertools.count()

    def fail_once(self: together._WaitingEnv, action: Any) -> Any:
        if next(calls) == 50:
            self.env = Broken(self.env)
        return step(self, action)

    monkeypatch.setattr(together._WaitingEnv, "step", fail_once)
    found = as_one("R+L2", "ddpg-penalty", tmp_path)
    assert sorted(type(outcome).__name__ for outcome in found.values()) == ["Outcome", "ZeroDivisionError"]


class Broken(gymnasium.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        raise ZeroDivisionError(action)


def test_what_preparation_cost_is_charged_as_to_each_alone(tmp_path: Path) -> None:
    found = as_one("R+L2", "flowpg", tmp_path, steps=60)
    alone_after = alone("R+L2", "flowpg", tmp_path, steps=60)
    for seed in SEEDS:
        assert found[seed].seconds.prepare == pytest.approx(alone_after[seed].seconds.prepare, abs=0.5)
        assert found[seed].seconds.prepare > 0


def test_time_runs_out_for_all(tmp_path: Path) -> None:
    found = as_one("R+L2", "ddpg-penalty", tmp_path, timeout_seconds=1e-3)
    assert {outcome.status for outcome in found.values()} == {"timeout"}


# --- interrupted ------------------------------------------------------------------------------------------------------


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = together._Member.observe

    def observe(self: together._Member, transition: Transition) -> None:
        if self.own.steps == step:
            raise KilledError
        seen(self, transition)

    monkeypatch.setattr(together._Member, "observe", observe)


def resumed(
    task: str, method: str, folder: Path, step: int, monkeypatch: pytest.MonkeyPatch, batched: bool = False
) -> tuple[bool, dict[int, Any]]:
    """A batch that is killed at a step and started again; whether it left a checkpoint, and what it ends with."""

    def go() -> dict[int, Any]:
        file = RunCheckpoint(folder / "batch.safetensors", "key", every=0.0)
        arguments = make_task(task), method, config(method), SEEDS, folder, lambda *_: None
        return train_together(*arguments, batched=batched, checkpoint=file)

    with monkeypatch.context() as patch:
        killed_at(step, patch)
        with pytest.raises(KilledError):
            go()
    return (folder / "batch.safetensors").exists(), go()


@pytest.mark.parametrize(
    ("method", "batched"), [("ddpg-penalty", False), ("ddpg-penalty", True), ("flowpg-gauge", True), ("nfw", False)]
)
# Before learning starts, and after.
@pytest.mark.parametrize("step", [55, 140])
def test_a_batch_that_was_killed_ends_as_one_that_was_not(
    method: str, batched: bool, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = as_one("R+L2", method, tmp_path, batched)
    left, found = resumed("R+L2", method, tmp_path, step, monkeypatch, batched)
    assert left
    for seed in SEEDS:
        for name in ("status", "returns", "final_policy", "violations", "calls", "visited", "curves"):
            assert getattr(found[seed], name) == getattr(expected[seed], name), name
        assert all(torch.equal(found[seed].state[name], value) for name, value in expected[seed].state.items())


def test_a_batch_whose_episodes_end_at_different_times_ends_the_same_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = as_one("H+M", "ddpg-penalty", tmp_path)
    _, found = resumed("H+M", "ddpg-penalty", tmp_path, 140, monkeypatch)
    for seed in SEEDS:
        assert found[seed].returns == expected[seed].returns
        assert all(torch.equal(found[seed].state[name], value) for name, value in expected[seed].state.items())


def test_a_batch_goes_on_only_from_a_checkpoint_of_the_same_seeds_in_the_same_order(folder: Path) -> None:
    params = load_params(folder / "params.yaml")
    first, second = (Run("smoke", "R+L2", "nfw", seed) for seed in (0, 1))
    keys = [batch_key(runs, params, "cpu") for runs in ([first, second], [second, first], [first])]
    assert len({*keys, batch_key([first, second], params, "cuda")}) == 4


def test_a_sweep_that_was_killed_goes_on_and_takes_its_checkpoint_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, results = load_params(folder / "params.yaml"), folder / "results"
    runs = [Run("smoke", "R+L2", "ddpg-penalty", seed) for seed in (0, 1)]
    state = unfinished(runs[0], results)
    with monkeypatch.context() as patch:
        killed_at(120, patch)
        with pytest.raises(KilledError):
            sweep_together(runs, params, results, "cpu", checkpoint_every=0.0)
    assert state.exists()
    steps: list[int] = []
    seen = together._Member.observe

    def observe(self: together._Member, transition: Transition) -> None:
        steps.append(self.own.steps)
        seen(self, transition)

    monkeypatch.setattr(together._Member, "observe", observe)
    assert sweep_together(runs, params, results, "cpu") == {}
    assert min(steps) == 100
    assert not state.exists()


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workplace(tmp_path / "place")


def test_a_sweep_of_seeds_together_leaves_the_jsons_of_one_by_one(folder: Path) -> None:
    chosen = ("-p", "smoke", "--task", "R+L2", "--method", "ddpg-penalty", "--seed", "0", "--seed", "1")
    for results, more in (("one", ("-j", "1")), ("other", ("--together",))):
        assert acrl(folder, "sweep", *chosen, *more, "--results", results).code == 0
    place = "smoke/runs/R+L2/ddpg-penalty"
    for seed in (0, 1):
        path = f"{place}/seed-{seed}.json"
        one, other = (json.loads((folder / name / path).read_text()) for name in ("one", "other"))
        assert (one["provenance"]["together"], other["provenance"]["together"]) == (1, 2)
        for data in (one, other):
            del data["seconds"], data["provenance"]
            data["curves"] = {name: values for name, values in data["curves"].items() if not name.startswith("update/")}
        assert one == other
    again = acrl(folder, "sweep", *chosen, "--together", "--results", "other")
    assert "2 complete, 0 to do" in again.out
    # What was trained together by other code is stale.
    alter(folder / "other" / place / "seed-0.json", lambda data: data["provenance"].update(together_code="0"))
    status = acrl(folder, "status", "-p", "smoke", "--task", "R+L2", "--method", "ddpg-penalty", "--results", "other")
    assert "seed 0  stale" in status.out


def test_a_method_that_does_not_apply_is_recorded_and_the_others_are_run(folder: Path) -> None:
    chosen = ("-p", "smoke", "--task", "R+Ring", "--method", "nfw", "--method", "ddpg-penalty", "--seed", "0")
    done = acrl(folder, "sweep", *chosen, "--seed", "1", "--together")
    assert done.code == 1
    runs = folder / "results/smoke/runs/R+Ring"
    assert json.loads((runs / "nfw/seed-0.json").read_text())["status"] == "failed"
    assert json.loads((runs / "ddpg-penalty/seed-1.json").read_text())["status"] == "complete"


def test_a_method_whose_seeds_cannot_be_trained_together_is_run_one_by_one(folder: Path) -> None:
    chosen = ("-p", "smoke", "--task", "R+L2", "--method", "random-feasible", "--method", "nfw", "--seed", "0")
    done = acrl(folder, "sweep", *chosen, "--seed", "1", "--together")
    assert done.code == 0, done.err
    runs = folder / "results/smoke/runs/R+L2"
    for method, seeds in (("random-feasible", 1), ("nfw", 2)):
        assert json.loads((runs / method / "seed-1.json").read_text())["provenance"]["together"] == seeds


def test_bad_requests_are_refused_in_one_line(folder: Path) -> None:
    chosen = ("sweep", "-p", "smoke", "--task", "R+L2", "--method", "nfw")
    for more, message in (
        (("--together", "-j", "2"), "leave --executor ray and --jobs out"),
        (("--device", "cuda", "--executor", "ray"), "leave --executor ray and --jobs out"),
    ):
        done = acrl(folder, *chosen, *more)
        assert done.code == 2
        assert message in done.err
        assert done.err.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens where there is no GPU")
def test_without_a_gpu_cuda_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="no GPU that torch can use"):
        train_together(make_task("R+L2"), "nfw", config("nfw"), SEEDS, folder, lambda *_: None, device="cuda")
    assert acrl(folder, "sweep", "-p", "smoke", "--task", "R+L2", "--method", "nfw", "--device", "cuda").code == 2
    assert not list((folder / "results").rglob("*.json"))
