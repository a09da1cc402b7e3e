"""Verification without a rerun: numbers that cannot be in one run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.publishing.mlflow.entries import Found, points_of
from benchmark.records.results import RunResult, read_run
from benchmark.verification.consistency import problems
from tests.benchmark.command import acrl, workplace
from tests.benchmark.verification.verified import RUN, Data, forge


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["violations"]["policy"]["valid_share"].update({"0": 0.123}), "is not a whole number of actions"),
        (lambda d: d["violations"]["policy"]["valid_share"].update({"0": 1.0}), "valid_share falls as the tolerance"),
        (lambda d: d["violations"]["policy"].update(count=d["violations"]["policy"]["count"] - 1), "violated"),
        (lambda d: d["violations"]["policy"].update(n=0, count=0), "of 0 violations"),
        (lambda d: d["violations"]["policy"].update(max=0.0), "and max 0.0 of"),
        (lambda d: d["violations"]["behaviour"].update(n=149), "violations.behaviour.n is 149, of 150 steps"),
        (lambda d: d["returns"]["final"].update(mean=0.0), "returns.final: the mean is 0.0, but its episodes have"),
        (lambda d: d["returns"]["final"].update(step=100), "returns.final is of step 100"),
        (lambda d: d["returns"]["evaluations"].pop(), "returns.evaluations are not at every 50 of 150 steps"),
        (lambda d: d["returns"]["best"]["episodes"].pop(), "returns.best has 1 episodes instead of 2"),
        (lambda d: d["curves"]["step"].reverse(), "curves.step are not the steps of the evaluations"),
        (lambda d: d["curves"]["violations/policy"].reverse(), "does not end at violations.policy.count"),
        (lambda d: d["curves"]["update/critic_loss"].pop(), "curves.update/critic_loss has 2 points instead of 3"),
        (lambda d: d["seconds"].update(total=d["seconds"]["update"]), "seconds: the parts sum to"),
        (lambda d: d["seconds"].update(act=-1.0), "seconds: a part is negative"),
        (lambda d: d["calls"].update(project_rows=0), "calls: fewer actions than calls"),
        (lambda d: d["config"].update(steps="many"), "its config is invalid at 'steps'"),
        (lambda d: d["final_policy"]["violations"].update(n=1), "final_policy.violations"),
        (lambda d: d["provenance"].update(processor="x\n# y"), "provenance.processor is not one line of text"),
        (lambda d: d["provenance"]["versions"].update({"[a](b)": "1"}), "is not one line of text without markup"),
        (lambda d: d.update(final_policy=None), "lacks returns, violations or the last policy"),
    ],
)
def test_numbers_that_do_not_fit_each_other_are_named(
    nfw_runs: Path, change: Callable[[Data], object], message: str
) -> None:
    data = json.loads((nfw_runs / RUN).read_text())
    assert list(problems(RunResult.model_validate(data))) == []
    change(data)
    found = list(problems(RunResult.model_validate(data)))
    assert any(message in problem for problem in found), found


def test_a_policy_that_was_never_judged_is_neither_valid_nor_not(tmp_path: Path) -> None:
    assert acrl(workplace(tmp_path, learner={"warmup": 1000}), "run", "R+L2", "nfw", "-p", "smoke").code == 0
    policy = json.loads((tmp_path / RUN).read_text())["violations"]["policy"]
    assert (policy["n"], set(policy["valid_share"].values())) == (0, {None})
    run = read_run(tmp_path / RUN)
    assert list(problems(run)) == []
    points = points_of(Found(tmp_path / RUN, run)).items()
    shares = {name: value for (name, _), value in points if name.startswith("violations/") and "valid_" in name}
    assert {name.split("/")[1] for name in shares} == {"behaviour", "executed"}
    assert all(map(math.isfinite, shares.values()))
    # Earlier programs called it valid, and a share of what was judged may not be left out.
    forge(
        tmp_path / RUN,
        lambda d: d["violations"]["policy"].update(valid_share=dict.fromkeys(policy["valid_share"], 1.0)),
    )
    assert read_run(tmp_path / RUN).violations == run.violations
    forge(tmp_path / RUN, lambda d: d["violations"]["policy"].update(n=1, valid_share=policy["valid_share"]))
    assert "1 actions were counted, but valid_share is missing" in acrl(tmp_path, "verify", RUN).out
