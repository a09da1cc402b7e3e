"""Bad input: one line on stderr, exit code 2, nothing written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.benchmark.command import Done, acrl, files, finish, install, start, workplace
from tests.benchmark.synthetic_results import alter

NFW = "results/smoke/runs/R+L2/nfw/seed-0.json"
CHECKPOINT = "results/smoke/checkpoints/R+L2/nfw/seed-0.safetensors"
FLOW = "results/smoke/flows/flowpg/R+L2.safetensors"
SAMPLES = "results/smoke/samples/R+L2.safetensors"
SMOKE = ("--profile", "smoke")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder without results."""
    return workplace(tmp_path / "place")


@pytest.fixture
def full(smoke: Path, tmp_path: Path) -> Path:
    """A copy of results to spoil."""
    return Path(shutil.copytree(smoke, tmp_path / "full"))


def truncate(path: Path) -> bytes:
    """Halve a file; what is left of it."""
    path.write_bytes(half := path.read_bytes()[: path.stat().st_size // 2])
    return half


def refused(folder: Path, *arguments: str | Path, run: Callable[..., Done] = acrl) -> str:
    """The one line that these arguments give, after checking that it is one and that nothing was written."""
    before = files(folder)
    done = run(folder, *arguments)
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")
    assert files(folder) == before
    return done.err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "R+L3", "nfw", *SMOKE), "unknown task 'R+L3': did you mean 'R+L2'?"),
        (("run", "R+L2", "nwf", *SMOKE), "unknown method 'nwf': did you mean 'nfw'?"),
        (("run", "R+L2", "nfw", "-p", "smoek"), "unknown profile 'smoek': did you mean 'smoke'?"),
        (("sweep", *SMOKE, "--method", "flow"), "unknown method 'flow': did you mean 'flowpg'?"),
        (("repro",), "there is no pipeline here: run this in a clone of the repository"),
        (("reproduced", *SMOKE), "profile 'smoke' has no reference"),
        (("run", "R+L2"), "Missing argument 'METHOD'"),
        (("run", "R+L2", "nfw", "--seed", "-1"), "Invalid value for '--seed'"),
        (("run", "R+L2", "nfw", "--sed", "1"), "No such option '--sed'"),
        (("sweeep",), "No such command 'sweeep'"),
        (("sweep", "--jobs", "0"), "Invalid value for '--jobs'"),
        (("evaluate", "nowhere.json"), "no such file: nowhere.json"),
    ],
)
def test_unknown_names_and_options(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(folder, *arguments)


# --- params.yaml ------------------------------------------------------------------------------------------------------


def set_smoke(folder: Path, **changes: Any) -> None:
    path = folder / "params.yaml"
    data = yaml.safe_load(path.read_text())
    data["profiles"]["smoke"].update(changes)
    path.write_text(yaml.safe_dump(data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": "many"}, "params.yaml, 'profiles.smoke.steps'"),
        ({"methods_config": {"nfw": {"alfa": 0.1}}}, "config of method 'nfw', setting 'alfa'"),
    ],
)
def test_a_bad_setting(folder: Path, changes: dict[str, Any], message: str) -> None:
    set_smoke(folder, **changes)
    for arguments in (("run", "R+L2", "nfw", *SMOKE), ("sweep", *SMOKE, "--method", "nfw")):
        assert message in refused(folder, *arguments)


# --- damaged files ----------------------------------------------------------------------------------------------------


def test_a_damaged_result(full: Path) -> None:
    truncate(full / NFW)
    for arguments in (("status", *SMOKE, "--method", "nfw"), ("tables", *SMOKE), ("evaluate", NFW)):
        message = refused(full, *arguments)
        assert "seed-0.json" in message
        assert "truncated or not JSON" in message


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
        assert f"warning: {NFW} is truncated or damaged; it is set aside as {name}\n" in done.err
        assert (path.parent / name).read_bytes() == damaged
        again, before = json.loads(path.read_bytes()), json.loads(whole)
        assert again["returns"] == before["returns"]
    assert f"{kept.relative_to(full)} is truncated or damaged; it is set aside as" in done.err


def test_a_result_of_another_schema(full: Path) -> None:
    alter(full / NFW, lambda data: data.update(schema_version=1))
    for arguments in (("status", *SMOKE, "--method", "nfw"), ("tables", *SMOKE), ("evaluate", NFW)):
        assert "schema version 1; this program knows version 2" in refused(full, *arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("seed"), "damaged at 'seed'"),
        (lambda data: data["returns"]["final"].update(mean=float("nan")), "damaged at 'returns.final.mean'"),
        (lambda data: data["config"].pop("steps"), "its config is not that of a run"),
        (lambda data: data["config"]["method"].update(alpha=-1), "setting 'alpha'"),
        (lambda data: data.update(run_key="0"), "seed-0.json is stale"),
    ],
)
def test_a_result_with_a_bad_entry(full: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    alter(full / NFW, change)
    assert message in refused(full, "evaluate", NFW)


def test_a_result_with_another_number(full: Path) -> None:
    text = (full / NFW).read_text()
    number = re.search(r'"mean": -?[0-9]+[.][0-9]+', text)
    assert number is not None
    last = number.end() - 1
    flipped = text[:last] + chr(ord(text[last]) ^ 1) + text[last + 1 :]
    assert json.loads(flipped) != json.loads(text)
    (full / NFW).write_text(flipped)
    for command in (("evaluate", NFW), ("tables", *SMOKE), ("status", *SMOKE), ("track", *SMOKE)):
        assert "seed-0.json is damaged: its entries do not have the digest in it" in refused(full, *command)


def test_a_damaged_or_missing_checkpoint(full: Path) -> None:
    truncate(full / CHECKPOINT)
    assert "seed-0.safetensors is truncated or damaged" in refused(full, "evaluate", NFW)
    (full / CHECKPOINT).unlink()
    assert "no such file" in refused(full, "evaluate", NFW)


@pytest.mark.parametrize("kept", [FLOW, SAMPLES])
def test_a_damaged_flow_or_sample_file(full: Path, kept: str) -> None:
    path = full / kept
    damaged = truncate(path)
    if kept == SAMPLES:
        (full / FLOW).unlink()
    aside: dict[str, bytes] = {}
    for name, arguments in (
        ("R+L2.damaged", ("run", "R+L2", "flowpg", *SMOKE)),
        ("R+L2.damaged-2", ("flows", "R+L2", *SMOKE, "--method", "flowpg")),
    ):
        path.write_bytes(damaged)
        others = {name: content for name, content in files(full).items() if not name.startswith(kept[:-12])}
        done = acrl(full, *arguments)
        line = f"{kept} is truncated or damaged; it is set aside as {name}; run again to make it anew"
        assert (done.code, done.err) == (2, f"error: {line}\n")
        aside[kept.replace("R+L2.safetensors", name)] = damaged
        assert files(full) == others | aside


# --- places that cannot be used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("flows", "R+L2", *SMOKE),
        ("track", *SMOKE),
        ("tables", *SMOKE),
    ],
    ids=" ".join,
)
def test_results_that_cannot_be_written(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "file").write_text("not a folder")
    assert "file/" in refused(folder, *arguments, "--results", "file/results")


def test_a_run_that_cannot_be_written_is_not_trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("not a folder")
    monkeypatch.setattr("benchmark.training.runs.train", lambda *_: pytest.fail("trained in vain"))
    refused(folder, "run", "R+L2", "nfw", *SMOKE, "--results", "file/results")


# --- plug-ins ---------------------------------------------------------------------------------------------------------

NO_INTERIOR = """
import dataclasses

from envs import make_task, register_task
from envs.constraints import Ball

constraint = Ball(0.05, [1.0, 1.0], [2.0, 2.0])
register_task(dataclasses.replace(make_task("R+L2"), id="Far", constraint=constraint))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "source", "message"),
    [
        ("acrl.tasks", NO_INTERIOR, "ball and action box share no interior"),
        ("acrl.methods", "raise RuntimeError('two\\nlines')", "'plug' cannot be loaded: two lines"),
    ],
)
def test_a_broken_plug_in(folder: Path, group: str, source: str, message: str) -> None:
    install(folder, group, "plug", source)

    def apart(where: Path, *arguments: str) -> Done:
        return finish(start(where, *arguments, PYTHONDONTWRITEBYTECODE="1"))

    assert message in refused(folder, "list", run=apart)
