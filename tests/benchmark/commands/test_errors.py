"""Bad input: one line on stderr, exit code 2, nothing written."""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from torch import Tensor

from benchmark.records.results import read_run
from envs import make_task, registry
from envs.registry import TaskSpec
from methods import base, list_methods
from tests.benchmark.command import MAIN, ROOT, acrl, files, finish, install, refused, start, workplace
from tests.benchmark.synthetic_results import alter, make_run, save
from tests.methods.scripted import Scripted

NFW = "results/smoke/runs/R+L2/nfw/seed-0.json"
FLOW = "results/smoke/flows/flowpg/R+L2.safetensors"
CHECKPOINT = "results/smoke/checkpoints/R+L2/nfw/seed-0.safetensors"
SMOKE = ("--profile", "smoke")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder without results."""
    return workplace(tmp_path / "place")


def truncate(path: Path) -> None:
    """Halve a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "R+L3", "nfw", *SMOKE), "unknown task 'R+L3': did you mean 'R+L2'?"),
        (("run", "R+L2", "nwf", *SMOKE), "unknown method 'nwf': did you mean 'nfw'?"),
        (("run", "xyzzy", "nfw", *SMOKE), "unknown task 'xyzzy': valid: An+L2"),
        (("sweep", *SMOKE, "--task", "R+L2", "--task", "R+L2"), "'R+L2' is given 2 times"),
        (("sweep", *SMOKE, "--seed", "0", "--seed", "0"), "'0' is given 2 times"),
        (("flows", "R+L2", "R+L2", *SMOKE), "'R+L2' is given 2 times"),
        (("experiment", "e1", "e1", *SMOKE), "'e1' is given 2 times"),
        (("run", "R+L2", "nfw", *SMOKE, "--set", "alhpa=1"), "--set: config of method 'nfw', setting 'alhpa'"),
        (("run", "R+L2", "nfw", *SMOKE, "--out", "results/smoke/runs/mine.json"), "lies among the runs of a profile"),
        (("run", "R+L2", "nfw", *SMOKE, "--set", "alpha=!!bool x"), "is not YAML"),
        (("timing", "R+L2", "R+L3", *SMOKE), "unknown task 'R+L3': did you mean 'R+L2'?"),
        (("flows", "R+L2", "R+L3", *SMOKE), "unknown task 'R+L3': did you mean 'R+L2'?"),
        (("flows", "R+L2", *SMOKE, "--method", "nfw"), "method 'nfw' has no flow"),
        (("visited", "R+L2", "R+L3", *SMOKE), "unknown task 'R+L3': did you mean 'R+L2'?"),
        (("status", *SMOKE, "--flows", "--task", "R+L3"), "unknown task 'R+L3': did you mean 'R+L2'?"),
        (("status", *SMOKE, "--flows", "--method", "nwf"), "unknown method 'nwf': did you mean 'nfw'?"),
        (("repro",), "no dvc.yaml here: run this in a clone of the repository"),
        (("reproduced", *SMOKE), "profile 'smoke' has no reference"),
        (("evaluate", "nowhere.json"), "no such file: nowhere.json"),
        (("sample", "R+L2", "--sampler", "hcm"), "unknown sampler 'hcm': did you mean 'hmc'?"),
        (("sample", "R+L2", "--sampler", "psdd"), "sampler psdd only samples whole allocations, as of BSS-3"),
        (("sample", "R+L2", "--sampler", "hmc", "--out", "."), "cannot write .: it is a folder"),
    ],
)
def test_unknown_names_and_options(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(folder, *arguments)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "seed-0.json is truncated or not JSON"),
        (lambda path: alter(path, lambda data: data.update(schema_version=1)), "this program knows version 2"),
    ],
)
def test_a_damaged_result(full: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(full / NFW)
    for arguments in (("status", *SMOKE, "--method", "nfw"), ("tables", *SMOKE), ("evaluate", NFW), ("track", *SMOKE)):
        assert message in refused(full, *arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["returns"]["final"].update(mean=float("nan")), "damaged at 'returns.final.mean'"),
        (lambda data: data["config"].pop("steps"), "its config is invalid"),
        (lambda data: data["config"]["method"].update(alpha=-1), "setting 'alpha'"),
        (lambda data: data.update(run_key="0"), "seed-0.json is stale"),
    ],
)
def test_a_result_with_a_bad_entry(full: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    alter(full / NFW, change)
    assert message in refused(full, "evaluate", NFW)


def test_a_sweep_sets_damaged_results_aside_and_makes_them_anew(full: Path) -> None:
    path, whole = full / NFW, (full / NFW).read_bytes()
    for name in ("seed-0.damaged", "seed-0.damaged-2"):
        damaged = whole[:100] + name.encode()
        path.write_bytes(damaged)
        # The copy that a sweep keeps for the pipeline is whole, or is damaged as well.
        if name == "seed-0.damaged-2":
            (kept,) = (one for one in (full / "results/smoke/kept").glob("*.json") if one.read_bytes() == whole)
            kept.write_bytes(damaged)
        done = acrl(full, "sweep", *SMOKE, "--task", "R+L2", "--method", "nfw")
        assert done.code == 0
        assert f"warning: {NFW} is truncated or damaged; renamed to {name}\n" in done.err
        assert (path.parent / name).read_bytes() == damaged
        assert json.loads(path.read_bytes())["returns"] == json.loads(whole)["returns"]
    assert f"{kept.relative_to(full)} is truncated or damaged; renamed to" in done.err


def test_a_damaged_or_missing_checkpoint(full: Path) -> None:
    truncate(full / CHECKPOINT)
    assert "seed-0.safetensors is truncated or damaged" in refused(full, "evaluate", NFW)
    (full / CHECKPOINT).unlink()
    again = ("run", "R+L2", "nfw", "--seed", "0", "-p", "smoke", "--results")
    assert f"Make the run again with `acrl {' '.join(again)} FOLDER`" in refused(full, "evaluate", NFW)
    assert acrl(full, *again, "again").code == 0
    assert "is not in again, where its policy would be" in refused(full, "evaluate", NFW, "--results", "again")
    remade = Path("again") / Path(NFW).relative_to("results")
    assert acrl(full, "evaluate", str(remade), "--results", "again").code == 0


def test_a_damaged_flow_ends_a_forced_run_which_leaves_the_last_result(full: Path) -> None:
    truncate(full / FLOW)
    before = files(full)
    assert acrl(full, "run", "R+L2", "flowpg", *SMOKE, "--force").code == 2
    assert {name: before[name] for name in before if name != FLOW}.items() <= files(full).items()


LONG = "x" * 300


@pytest.mark.parametrize("place", ["file/results", LONG])
@pytest.mark.parametrize(
    "arguments", [("flows", "R+L2"), ("track",), ("tables",), ("report",), ("sweep", "-j", "1"), ("run", "R+L2", "nfw")]
)
def test_results_that_cannot_be_written(
    folder: Path, arguments: tuple[str, ...], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("not a folder")
    monkeypatch.setattr("benchmark.training.runs.train", lambda *_: pytest.fail("trained in vain"))
    assert place.removesuffix("/results") in refused(folder, *arguments, *SMOKE, "--results", place, "--json")


@pytest.mark.parametrize("arguments", [("evaluate", LONG), ("verify", LONG), ("check", f"{LONG}.py")])
def test_a_name_that_no_file_can_have(folder: Path, arguments: tuple[str, ...]) -> None:
    assert "File name too long" in refused(folder, *arguments)


@pytest.mark.slow
def test_output_that_cannot_be_written(folder: Path) -> None:
    command = ["bash", "-c", '"$@" > /dev/full', "bash", sys.executable, "-c", MAIN, "list"]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    message = "error: cannot read or write: No space left on device; check the path and its free space\n"
    assert (done.returncode, done.stderr) == (2, message)


class Faulty(TaskSpec):
    """R+L2, whose environment gives something else from the seventh step on: a reward, or an observation times this."""

    reward, scale = 0.0, 1.0

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        env = super().make_env(**kwargs)
        given, count = env.step, itertools.count(1)

        def step(action: Any) -> Any:
            obs, _, *ended = given(action)
            late = next(count) >= 7
            return obs * (self.scale if late else 1.0), self.reward if late else 0.0, *ended

        env.step = step  # type: ignore[method-assign]
        return env


NAN, INF = float("nan"), float("inf")
ENVIRONMENT, METHOD = "the environment of task 'R+L2' returned", "method 'scripted' returned"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"reward": NAN}, f"{ENVIRONMENT} a reward of nan at step 7"),
        ({"reward": -INF}, f"{ENVIRONMENT} a reward of -inf at step 7"),
        ({"reward": 1e308}, f"{ENVIRONMENT} rewards that add up to inf at step 50"),
        ({"scale": INF}, f"{ENVIRONMENT} an observation with NaN or infinity at step 7"),
        (
            {"violation": NAN},
            "the constraint returned a violation of nan, which cannot be summed at step 1",
        ),
        ({"violation": 1e307}, "which cannot be summed at step"),
        ({"losses": [0.0, NAN]}, f"{METHOD} a loss 'q' of nan at step 50"),
        ({"losses": [INF, -INF]}, f"{METHOD} a loss 'q' of inf at step 50"),
        ({"losses": [1e308]}, f"{METHOD} losses 'q' that add up to inf at step 50"),
    ],
)
def test_what_is_not_finite_fails_the_run_in_one_line(
    folder: Path, fault: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task("R+L2")

    class Unbounded(type(task.constraint)):  # type: ignore[misc]
        def violation(self, action: Tensor, obs: Tensor) -> Tensor:
            found: Tensor = super().violation(action, obs)
            return found * 0 + fault["violation"] if "violation" in fault else found

    class Losing(Scripted):
        losses = itertools.cycle(fault.get("losses", [0.0]))

        def update(self) -> dict[str, float]:
            return {"q": next(self.losses)}

    monkeypatch.setattr(Faulty, "reward", fault.get("reward", 0.0))
    monkeypatch.setattr(Faulty, "scale", fault.get("scale", 1.0))
    constraint = copy.copy(task.constraint)
    constraint.__class__ = Unbounded
    faulty = Faulty(**vars(task) | {"constraint": constraint})
    monkeypatch.setitem(registry._TASKS, "R+L2", lambda: faulty)
    list_methods()
    monkeypatch.setitem(base._METHODS, "scripted", Losing)
    done = acrl(folder, "run", "R+L2", "scripted", *SMOKE)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch("error: .*\n", done.err)
    assert message in done.err
    result = read_run(folder / "results/smoke/runs/R+L2/scripted/seed-0.json")
    assert (result.status, f"error: {result.error}\n") == ("failed", done.err)


@pytest.mark.slow
def test_a_broken_plug_in(folder: Path) -> None:
    install(folder, "acrl.methods", "plug", "raise RuntimeError('two\\nlines')")
    done = finish(start(folder, "list"))
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch("error: .*'plug' cannot be loaded: two lines.*\n", done.err)


WORDS = "no complete run of profile 'quick' in results/quick: make runs with `acrl sweep -p quick`"
CHOOSE = ", or choose a profile that has some: -p small"


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """Runs of one profile, and tables of another whose runs are not there."""
    workplace(tmp_path)
    save(tmp_path / "results/small", make_run("R+L2", "nfw", 0, profile="small"))
    made = tmp_path / "results/quick/tables/returns.md"
    made.parent.mkdir(parents=True)
    made.write_text("made from runs that are not in git\n")
    return tmp_path


@pytest.mark.parametrize("command", ["tables", "report", "track"])
def test_nothing_is_made_from_no_runs(fresh: Path, command: str) -> None:
    assert refused(fresh, command) == f"{WORDS}{CHOOSE}"


def test_compare_names_profiles_that_have_runs_of_the_method(fresh: Path) -> None:
    words = "no complete run of nfw (results/quick/runs) in profile 'quick': make runs with `acrl sweep -p quick`"
    assert refused(fresh, "compare", "nfw", "flowpg") == f"{words}{CHOOSE}"
    assert refused(fresh, "compare", "flowpg", "nfw") == words.replace("nfw", "flowpg")


def test_status_lists_what_is_missing_and_warns(fresh: Path) -> None:
    done = acrl(fresh, "status")
    assert (done.code, done.err) == (0, f"warning: {WORDS}{CHOOSE}\n")
    assert done.out.splitlines()[0] == "profile quick: 54 missing"


def test_without_any_runs_there_is_nothing_to_choose(tmp_path: Path) -> None:
    workplace(tmp_path)
    assert refused(tmp_path, "tables") == WORDS
    assert acrl(tmp_path, "status").err == ""
