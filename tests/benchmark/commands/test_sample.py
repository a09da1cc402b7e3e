"""``acrl sample``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.experiments.sampling import draw_states
from envs import make_task
from tests.benchmark.command import acrl, files

COMMON = {"task", "sampler", "seed", "states", "samples", "seconds", "samples_per_second", "proposals", "acceptance"}
OWN = {
    "rejection": set(),
    "hmc": {"ess", "ess_per_second", "rhat", "step_size", "jump_acceptance"},
    "psdd": {"models", "nodes", "compile_seconds"},
}
CASES = [
    ("R+L2", "hmc"),
    ("HC+O", "rejection"),
    ("BSS-3", "hmc"),
    ("BSS-5", "psdd"),
]


def drawn(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """The JSON that ``acrl sample`` prints with these arguments."""
    done = acrl(folder, "sample", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    report: dict[str, Any] = json.loads(done.out)
    return report


@pytest.mark.parametrize(("task_id", "sampler"), CASES)
def test_report_and_file(tmp_path: Path, task_id: str, sampler: str) -> None:
    arguments = (task_id, "--sampler", sampler, "--n", "2050", "--seed", "3", "--out", "new/actions.npy")
    report = drawn(tmp_path, *arguments)
    assert {name for name, value in report.items() if value is not None} == COMMON | OWN[sampler]
    assert (report["task"], report["sampler"], report["seed"], report["samples"]) == (task_id, sampler, 3, 2050)
    assert report["samples_per_second"] == pytest.approx(2050 / report["seconds"])
    assert 0 < report["acceptance"] <= 1
    if sampler == "hmc":
        assert 0 < report["ess"] <= 2050
        assert report["rhat"] < 1.2

    task = make_task(task_id)
    content = files(tmp_path)
    assert list(content) == ["new/actions.npy"]
    actions = torch.from_numpy(np.load(tmp_path / "new/actions.npy"))
    assert actions.shape == (2050, task.constraint.dim)
    assert actions.dtype == torch.float64
    states = draw_states(task, 2050, seed=3)
    assert report["states"] == (len(states) if task_id == "HC+O" else 1)
    assert task.constraint.contains(actions, states[torch.arange(2050) % len(states)]).all()

    again = drawn(tmp_path, *arguments)
    assert files(tmp_path) == content
    assert again.keys() == report.keys()
    drawn(tmp_path, *arguments, "--seed", "4")
    assert files(tmp_path) != content


def test_lines_for_people(tmp_path: Path) -> None:
    done = acrl(tmp_path, "sample", "BSS-3", "--sampler", "psdd", "--n", "10")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("BSS-3 by psdd, seed 0\n")
    assert "  models               136\n" in done.out
    assert "R-hat" not in done.out
    done = acrl(tmp_path, "sample", "HC+O", "--sampler", "rejection", "--n", "1000")
    assert "  states               2 from rollouts of random feasible actions\n" in done.out
    assert not files(tmp_path)


def test_states_are_those_of_rollouts_and_of_the_seed() -> None:
    task = make_task("HC+O")
    states = draw_states(task, 4000, seed=0)
    assert states.shape == (10, 17)
    assert len(states.unique(dim=0)) == 10
    assert torch.equal(states, draw_states(task, 4000, seed=0))
    assert not torch.equal(states, draw_states(task, 4000, seed=1))
    # Velocities, and nothing else of the state.
    assert (states[:, 11:] != 0).any(dim=0).all()
    assert not states[:, :11].any()
    assert len(draw_states(make_task("R+L2"), 10**6, seed=0)) == 250


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("R+L3", "--sampler", "hmc"), "unknown task 'R+L3': did you mean 'R+L2'?"),
        (("R+L2", "--sampler", "hcm"), "unknown sampler 'hcm': did you mean 'hmc'? valid: hmc, psdd, rejection"),
        (("R+L2", "--sampler", "psdd"), "sampler psdd is for allocations of whole units such as BSS-3; task 'R+L2'"),
        (("R+L2", "--sampler", "hmc", "--n", "0"), "Invalid value for '--n'"),
        (("R+L2", "--sampler", "hmc", "--seed", "-1"), "Invalid value for '--seed'"),
        (("R+L2",), "Missing option '--sampler'"),
        (("R+L2", "--sampler", "rejection", "--out", "file/actions.npy"), "cannot write file/actions.npy"),
        (("R+L2", "--sampler", "rejection", "--out", "folder"), "cannot write folder: it is a folder"),
    ],
)
def test_bad_input(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    before = files(tmp_path)
    done = acrl(tmp_path, "sample", *arguments)
    assert done.code == 2
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1
    assert files(tmp_path) == before
