"""Verification by making a run again: in part, whole, and as it comes from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.records.config import Params, RunConfig
from benchmark.records.results import RunResult
from benchmark.records.runs import Run
from benchmark.training.harness import train
from benchmark.training.runs import execute
from benchmark.verification import rerun
from envs.registry import make_task
from tests.benchmark.command import finish, start
from tests.benchmark.conftest import changed
from tests.benchmark.verification.verified import RUN, Data, forge, said, verify

# A run as it would come from elsewhere: the same seeds, in other floating-point numbers.
WHOLE = rerun.Stretch(150, 3, whole=True)


@pytest.fixture(scope="module")
def seeds(params: Params, tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    folder = tmp_path_factory.mktemp("seeds")
    return [execute(Run("smoke", "R+L2", "nfw", seed), params, folder, lambda _: None) for seed in range(4)]


@pytest.fixture(scope="module")
def again(seeds: list[RunResult], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return rerun.repeat(seeds[0], WHOLE, tmp_path_factory.mktemp("none"), lambda _: lambda _: None)


@pytest.mark.parametrize(("steps", "last", "verdict"), [(1, 50, "undecided"), (149, 100, "agrees")])
def test_a_run_made_again_in_part_agrees_up_to_there(nfw_copy: Path, steps: int, last: int, verdict: str) -> None:
    # Updates are made at the end of an episode: 50 steps here, but not the step before the run's last one.
    done, verification = verify(nfw_copy, RUN, "--rerun-steps", str(steps))
    assert done.code == 0, done.out
    (told,) = (one for one in said(verification, "ok") + said(verification, "warning") if one.startswith("rerun: "))
    assert told.startswith(f"rerun: {verdict}: R+L2 nfw seed 0 repeated up to step {last} of 150")
    # The warm-up lasts longer than the first evaluation.
    assert ("choose --rerun-steps of at least" in told) is (verdict == "undecided")


def test_an_evaluation_within_an_episode_is_made_again_as_it_was(params: Params, tmp_path: Path) -> None:
    # Bike sharing's episodes have 100 steps, and updates are made at their end: an evaluation at step 50 is of a policy
    # that has learned nothing yet, unless the run itself ends there.
    altered = changed(params, learner=params.profile("smoke").learner | {"warmup": 20})
    result = execute(Run("smoke", "BSS-3", "nfw", 0), altered, tmp_path, lambda _: None)
    stretch = rerun.choose_stretch(result, 50)
    again = rerun.repeat(result, stretch, tmp_path / "smoke", lambda _: lambda _: None)
    assert rerun.compare(result, again, stretch, [], [result]).verdict == "agrees"
    ended = RunConfig.model_validate(result.config | {"steps": 50})
    other = train(make_task("BSS-3"), "nfw", ended, 0, tmp_path, lambda _: None)
    assert rerun.compare(result, other, stretch, [], [result]).verdict == "differs"


def test_how_much_of_a_long_run_is_made_again(seeds: list[RunResult]) -> None:
    result = seeds[0]
    long = result.model_copy(update={"config": result.config | {"steps": 10_000}})
    assert long.returns is not None
    assert result.curves["update/critic_loss"][0] is None
    # Learning begins between steps 50 and 100, so that all of the third stretch is learned from.
    assert rerun.choose_stretch(long, None) == rerun.Stretch(150, 3, whole=False)
    assert rerun.choose_stretch(long, 99) == rerun.Stretch(50, 1, whole=False)
    assert rerun.choose_stretch(result, None) == rerun.Stretch(150, 3, whole=True)


def test_a_return_changed_with_its_digest_is_caught_by_making_the_run_again(nfw_copy: Path) -> None:
    def change(data: Data) -> None:
        best = data["returns"]["best"]
        best["episodes"] = [value + 1 for value in best["episodes"]]
        best["mean"] = sum(best["episodes"]) / len(best["episodes"])

    forge(nfw_copy / RUN, change)
    done, verification = verify(nfw_copy, RUN)
    assert done.code == 1
    (problem,) = said(verification, "failed")
    assert problem.startswith("rerun: differs: R+L2 nfw seed 0 repeated whole")
    assert "the first returns.best." in problem
    assert verify(nfw_copy, RUN, "--no-rerun")[0].code == 0


def test_elsewhere_why_digits_may_differ(seeds: list[RunResult]) -> None:
    run, origin = seeds[0], seeds[0].provenance
    assert torch.get_num_threads() == 1
    assert rerun.differences(run, True) == []
    for change, reason in (
        ({"processor": "Another CPU"}, "another machine"),
        ({"code_path": "DEFAULT MKL_CBWR 00000000"}, "another code path of the processor"),
        ({"platform": "Another OS"}, "another platform"),
        ({"versions": origin.versions | {"torch": "1.13.1"}}, "other versions of libraries"),
        ({"code_sha256": "0"}, "other code"),
    ):
        elsewhere = run.model_copy(update={"provenance": origin.model_copy(update=change)})
        assert rerun.differences(elsewhere, True) == [reason]
    assert rerun.differences(run, False) == ["other versions or settings"]
    before_it_was_noted = run.model_copy(update={"provenance": origin.model_copy(update={"code_path": None})})
    assert rerun.differences(before_it_was_noted, True) == []


@pytest.mark.parametrize("switch", [{"ATEN_CPU_CAPABILITY": "default"}, {"MKL_CBWR": "COMPATIBLE"}])
def test_another_code_path_of_the_same_processor_is_no_forgery(nfw_copy: Path, switch: dict[str, str]) -> None:
    done = finish(start(nfw_copy, "verify", RUN, **switch))
    assert (done.code, done.err) == (0, "")
    assert "every number within 0.0001, relatively; made with another code path of the processor" in done.out


def test_elsewhere_last_digits_agree_and_another_seed_lies_within_the_spread(
    seeds: list[RunResult], again: Any
) -> None:
    run = seeds[0].model_copy(deep=True)
    assert run.returns is not None
    run.returns.final.mean *= 1 + 1e-9
    assert rerun.compare(run, again, WHOLE, ["another machine"], [run]).verdict == "agrees"
    assert rerun.compare(run, again, WHOLE, [], [run]).verdict == "differs"
    assert rerun.compare(seeds[1], again, WHOLE, ["another machine"], [run]).verdict == "undecided"
    # Seed 1 passed off as seed 0 is what learning in other digits comes to in the end.
    compared = rerun.compare(seeds[1], again, WHOLE, ["another machine"], seeds[1:])
    assert compared.verdict == "agrees within the spread of seeds", compared.detail


def test_elsewhere_returns_far_from_those_made_again_differ(seeds: list[RunResult], again: Any) -> None:
    better = [one.model_copy(deep=True) for one in seeds]
    for one in better:
        assert one.returns is not None
        one.returns.evaluations[-1].mean += 1000
    compared = rerun.compare(better[0], again, WHOLE, ["another machine"], better)
    assert compared.verdict == "differs"
    assert "the return at step 150 is" in compared.detail


def test_the_shortest_run_is_made_again(seeds: list[RunResult]) -> None:
    first = seeds[0]
    longer = first.model_copy(update={"config": first.config | {"steps": 151}})
    slower = first.model_copy(update={"seconds": first.seconds.model_copy(update={"prepare": 99.0})})
    # Nothing is learned in it.
    idle = first.model_copy(update={"config": first.config | {"steps": 10}, "curves": {"step": [10.0]}})
    assert rerun.shortest([longer, slower, idle, first]) is first
