"""States visited against those that a flow was trained on."""

from __future__ import annotations

from benchmark.records.results import TOLERANCE_KEYS
from benchmark.training.flows import measure_coverage
from envs import make_task
from envs.sampling.dataset import draw_dataset
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import make_flow
from tests.benchmark.synthetic_results import PROFILE, SEEDS, make_run

TASK = make_task("HC+O")


def test_held_out_states_are_covered_and_distant_ones_are_not() -> None:
    samples = draw_dataset(TASK, 2000, 1000, 200, seed=0)
    flow = make_flow(TASK, RealNVPConfig(hidden=(4,), layers=2))
    flow.fit_context(samples["train_context"])
    held_out = samples["test_context"][:50]
    # In range of every coordinate, and no such state was seen.
    corner = samples["train_context"].amin(dim=0).expand(50, -1)
    runs = [make_run(TASK.id, "nfw", seed, visited=held_out.tolist()) for seed in SEEDS]
    runs += [make_run(TASK.id, "flowpg", 0, visited=corner.tolist())]
    runs += [make_run(TASK.id, "ddpg-penalty", 0, visited=(1000 + held_out).tolist())]
    runs += [make_run(TASK.id, "ddpg-projection", 0, visited=[])]
    report = measure_coverage(TASK, PROFILE, samples, flow, runs)
    assert {method: len(found) for method, found in report.runs.items()} == {"nfw": 2, "flowpg": 1, "ddpg-penalty": 1}
    own, unseen, far = (report.runs[method]["0"] for method in ("nfw", "flowpg", "ddpg-penalty"))
    assert min(own.within_range, own.near) > 0.9
    assert (unseen.within_range, unseen.near) == (1, 0)
    assert far.within_range < 0.1
    assert far.near == 0
    assert tuple(own.valid) == TOLERANCE_KEYS
    assert 0 < own.valid["0"] <= own.valid["0.1"] <= 1
