"""Results as data frames: the numbers of the files, under the names that are documented."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark.records.results import RunResult, read_run
from envs.errors import UserError
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.synthetic_results import PROFILE, save

SEEDS = (0, 1)


def documented(function: object) -> list[str]:
    """Names of the columns that a docstring lists."""
    columns = re.search(r"Columns:\n\n(.*?)\n\n", function.__doc__ or "", re.DOTALL)
    assert columns is not None
    return [name for line in columns[1].splitlines() for name in re.findall("``(.*?)``", line.split(": ")[0])]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / PROFILE
    synthetic.save_anchors(folder, SEEDS)
    for seed in SEEDS:
        run = synthetic.make_run("R+L2", "flowpg", seed)
        assert run.returns is not None
        steps = [float(one.step) for one in run.returns.evaluations]
        curves: dict[str, list[float | None]] = {"step": [*steps], "violations/policy": [2 * step for step in steps]}
        save(folder, run.model_copy(update={"curves": curves}))
    save(folder, synthetic.make_failure("R+L2", "flowpg-gauge", 0), synthetic.make_run("BSS-3", "flowpg", 0))
    return tmp_path


def run_of(results: Path, task: str, method: str, seed: int) -> RunResult:
    return read_run(results / PROFILE / "runs" / task / method / f"seed-{seed}.json")


def test_a_row_for_each_complete_run(results: Path) -> None:
    found = benchmark.load_runs(PROFILE, results)
    assert list(found.columns) == documented(benchmark.load_runs)
    of_task = [("R+L2", method, seed) for method in ("flowpg", "random-feasible", "hold") for seed in SEEDS]
    references = [("HC+O", method, seed) for method in ("random-feasible", "hold") for seed in SEEDS]
    names = list(found[["task", "method", "seed"]].itertuples(index=False, name=None))
    assert names == [*of_task, *references, ("BSS-3", "flowpg", 0)]

    row, run = found.iloc[1], run_of(results, "R+L2", "flowpg", 1)
    assert run.returns is not None
    assert run.violations is not None
    assert run.final_policy is not None
    assert (row["return"], row["best_return"]) == (run.returns.final.mean, run.returns.best.mean)
    _, low, high = synthetic.ENDS["R+L2"]
    # Means of the anchors over the two seeds, which differ by 1.
    assert row["score"] == pytest.approx((run.returns.final.mean - low - 0.5) / (high - low))
    assert row["violations"] == run.violations.policy.count
    shares = run.final_policy.violations.valid_share
    assert {name: row[f"valid_{name}"] for name in shares} == shares
    assert row["seconds"] + row["prepare_seconds"] == pytest.approx(run.seconds.total)
    assert (row["steps"], row["run_key"]) == (synthetic.STEPS, run.run_key)
    # No anchors, no scale.
    assert math.isnan(found.iloc[-1]["score"])


def test_a_row_for_each_evaluation(results: Path) -> None:
    found = benchmark.load_curves(PROFILE, results)
    assert list(found.columns) == documented(benchmark.load_curves)
    one = found[(found["task"] == "R+L2") & (found["seed"] == 1)]
    returns = run_of(results, "R+L2", "flowpg", 1).returns
    assert returns is not None
    assert one["step"].tolist() == [each.step for each in returns.evaluations]
    assert one["return"].tolist() == [each.mean for each in returns.evaluations]
    assert (one["violations"] == 2 * one["step"]).all()
    assert set(found["method"]) == {"flowpg"}


def test_what_is_not_there_is_refused(results: Path) -> None:
    with pytest.raises(UserError, match="unknown profile 'quik': did you mean 'quick'"):
        benchmark.load_runs("quik", results)
    with pytest.raises(UserError, match="no complete run of profile 'quick'"):
        benchmark.load_curves(PROFILE, results / "elsewhere")


def test_importing_the_package_imports_no_library() -> None:
    code = "import sys, benchmark; assert not {'pandas', 'torch', 'numpy', 'envs'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(benchmark.__file__).parents[1])
