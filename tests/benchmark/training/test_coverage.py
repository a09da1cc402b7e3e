"""States that runs record, and how a flow's training states cover them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

from benchmark.records.reports import LATENTS, CoverageReport, StateCoverage, coverage_path
from benchmark.records.results import TOLERANCE_KEYS
from benchmark.records.selection import read_selection
from benchmark.training.flows import measure_coverage, not_of_the_record, report_visited
from benchmark.training.visited import VISITED_STATES, is_recorded, visited_states
from envs import make_task
from envs.sampling.dataset import draw_dataset
from methods.base import make_method
from methods.flowpg import FlowPG
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import make_flow
from tests.benchmark.command import refused
from tests.benchmark.synthetic_results import PROFILE, PROVENANCE, SEEDS, alter, make_key, make_run, make_visited, save

TASK = make_task("HC+O")


@pytest.mark.parametrize(("steps", "episode"), [(100_000, 1000), (300_000, 50), (1_000_000, 1000), (120, 50)])
def test_recorded_states_are_spread_over_training_and_over_episodes(steps: int, episode: int) -> None:
    recorded = [step for step in range(1, steps + 1) if is_recorded(step, steps, seed=0)]
    every = max(1, steps // VISITED_STATES)
    assert [(step - 1) // every for step in recorded] == list(range(min(steps, VISITED_STATES)))
    places = np.array([(step - 1) % episode / episode for step in recorded])
    assert kstest(places, "uniform").pvalue > 0.001 or every == 1


def test_older_runs_give_no_states_that_begin_an_episode() -> None:
    rows = [[float(index), 0.0] for index in range(200)]
    older = make_run(TASK.id, config={"steps": 100_000}, visited=rows)
    assert list(visited_states(older)) == [(1 + 500 * index, rows[index]) for index in range(1, 200, 2)]
    steps = [1 + 7 * index for index in range(200)]
    newer = make_run(TASK.id, config={"steps": 100_000}, visited=rows, visited_steps=steps)
    assert list(visited_states(newer)) == list(zip(steps, rows, strict=True))


def test_held_out_states_are_covered_and_distant_ones_are_not() -> None:
    samples = draw_dataset(TASK, 2000, 1000, 200, seed=0)
    flow = make_flow(TASK, RealNVPConfig(hidden=(4,), layers=2))
    flow.fit_context(samples["train_context"])
    held_out = samples["test_context"][:50]
    # In range of every coordinate of visited states, and no such state was seen.
    corner = samples["train_context"][:1000].amin(dim=0).expand(50, -1)
    # Where widened states lie and visited ones do not.
    widened = samples["train_context"][1000:]
    widened = widened[(widened < corner[0]).any(dim=1)][:50]
    runs = [make_run(TASK.id, "nfw", seed, visited=held_out.tolist()) for seed in SEEDS]
    runs += [make_run(TASK.id, "flowpg", 0, visited=corner.tolist())]
    runs += [make_run(TASK.id, "ddpg-penalty", 0, visited=(1000 + held_out).tolist())]
    runs += [make_run(TASK.id, "nfw-target", 0, visited=widened.tolist())]
    runs += [make_run(TASK.id, "ddpg-projection", 0, visited=[])]
    report = measure_coverage(TASK, PROFILE, samples, flow, runs)
    assert {method: len(found) for method, found in report.runs.items()} == {
        "nfw": 2,
        "flowpg": 1,
        "ddpg-penalty": 1,
        "nfw-target": 1,
    }
    own, unseen, far, wide = (report.runs[name]["0"] for name in ("nfw", "flowpg", "ddpg-penalty", "nfw-target"))
    assert min(own.within_range, own.near) > 0.9
    assert (unseen.within_range, unseen.near) == (1, 0)
    assert far.within_range < 0.1
    assert far.near == wide.within_range == 0
    assert tuple(own.valid) == TOLERANCE_KEYS
    assert 0 < own.valid["0"] <= own.valid["0.1"] <= 1


def test_a_flow_is_measured_at_the_states_of_each_policy() -> None:
    method = make_method("flowpg", TASK, {"flow": {"hidden": [4], "layers": 2}})
    assert isinstance(method, FlowPG)
    method.head.flow = make_flow(TASK, method.config.flow)
    # Without speed no torque needs power; at 100 rad/s hardly any torque is allowed.
    speeds = {0: 0.0, 1: 100.0}
    runs = []
    for seed, speed in speeds.items():
        run = make_run(TASK.id, "flowpg", seed)
        assert run.final_policy
        policy = run.final_policy.model_copy(update={"contexts": [[speed] * 6]})
        runs.append(run.model_copy(update={"final_policy": policy}))
    report = report_visited(method, runs, draws=2000)
    assert list(report.validity) == ["0", "1"]
    assert report.run_keys == {str(run.seed): run.run_key for run in runs}
    for latent in LATENTS:
        idle, fast = report.at(latent, 0.0)
        assert fast < 0.001 < 0.01 < idle


def test_reports_on_other_runs_than_the_records_are_named(tmp_path: Path) -> None:
    pairs = [(method, seed) for method in ("nfw", "flowpg") for seed in SEEDS]
    kept = [save(tmp_path, make_run(TASK.id, method, seed, visited=[[1.0] * 6])) for method, seed in pairs]
    save(tmp_path, make_visited(TASK.id))
    states: dict[str, dict[str, StateCoverage]] = {"nfw": {}, "flowpg": {}}
    for method, seed in pairs:
        key = make_key(TASK.id, method, seed)
        states[method][str(seed)] = StateCoverage(within_range=1, near=1, valid={}, run_key=key)
    save(tmp_path, CoverageReport(task=TASK.id, profile=PROFILE, draws=1, runs=states, provenance=PROVENANCE))

    def named(methods: tuple[str, ...] = ("nfw", "flowpg"), seeds: tuple[int, ...] = SEEDS) -> list[str]:
        return not_of_the_record(read_selection(tmp_path, PROFILE, [TASK.id], methods, seeds))

    assert named() == []
    for run in kept:
        whole = run.read_bytes()
        alter(run, lambda data: data.update(run_key="another"))
        assert named() == [TASK.id]
        run.unlink()
        assert named() == [TASK.id]
        run.write_bytes(whole)
    save(tmp_path, make_run(TASK.id, "drad", visited=[[1.0] * 6]))
    assert named(("nfw", "flowpg", "drad")) == [TASK.id]
    # Older reports do not say which runs they are of.
    save(tmp_path, make_visited(TASK.id, run_keys={}))
    coverage_path(tmp_path, TASK.id).unlink()
    assert named(("nfw", "flowpg", "drad")) == []


def test_flows_of_stale_runs_are_not_measured(full: Path) -> None:
    flow, settings = full / "results/smoke/flows/flowpg/R+L2.safetensors", full / "params.yaml"
    settings.write_text(settings.read_text().replace("updates: 60", "updates: 61"))
    before = flow.read_bytes()
    assert "no complete run with a flow on R+L2" in refused(full, "visited", "R+L2", "--profile", "smoke")
    assert flow.read_bytes() == before
