"""Kills every stage at random moments, starts it again, and compares what is left with a run that was never killed.

Run ``python -m benchmarks.kills [--kills N] [--seed S]``. Each stage starts from the results of the one before, in a
folder of its own. A trial starts the command, sends SIGKILL to it and all that it started at a random moment, up to
three times, and then lets it finish. What it leaves must be what the same command leaves undisturbed: all files, but
for seconds and provenance in JSON and what `acrl timing` measured, and the tracked runs of the MLflow database. Exit
code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient

from benchmark.publishing.mlflow.store import sqlite_uri
from benchmark.records.store import load_tensors

ROOT = Path(__file__).resolve().parents[1]
ACRL = (sys.executable, "-c", "from benchmark.cli import main; main()")
MOST_KILLS_A_TRIAL = 3
# The rounds of a timing are seconds, too.
VOLATILE = ("seconds", "provenance", "rounds")
COPIED = ("benchmark", "envs", "methods", "dvc.yaml", ".dvc/config", ".dvcignore", "requirements.lock")
METHODS = {"flow_methods": ["flowpg"], "plain_methods": ["nfw", "ddpg-penalty"]}


@dataclass(frozen=True)
class Stage:
    """One command and what of its results is compared."""

    name: str
    command: Sequence[str]
    compared: Callable[[Path], bool] = lambda _: True


def timeless(path: Path) -> bool:
    """Whether a file's contents are the same in every undisturbed run: tables and figures hold seconds."""
    return path.suffix == ".safetensors" or (path.suffix == ".json" and "mlflow" not in path.parts)


STAGES = (
    Stage("plan", (*ACRL, "plan", "-p", "smoke")),
    Stage("flow", (*ACRL, "flows", "R+L2", "-p", "smoke", "--method", "flowpg")),
    Stage("run", (*ACRL, "run", "R+L2", "nfw", "-p", "smoke", "--checkpoint-every", "0")),
    Stage("sweep", (*ACRL, "sweep", "-p", "smoke", "--task", "R+L2", "-j", "2", "--checkpoint-every", "0")),
    Stage("visited", (*ACRL, "visited", "R+L2", "-p", "smoke", "--method", "flowpg")),
    Stage("sampler", (*ACRL, "sample", "R+L2", "--sampler", "hmc", "--n", "20000", "--seed", "0", "--out", "a.npy")),
    Stage("timing", (*ACRL, "timing", "R+L2", "-p", "smoke")),
    Stage("experiment", (*ACRL, "experiment", "e1", "n2", "-p", "smoke"), timeless),
    Stage("tables", (*ACRL, "tables", "-p", "smoke")),
    Stage("report", (*ACRL, "report", "-p", "smoke")),
    Stage("track", (*ACRL, "track", "-p", "smoke")),
    Stage("repro", (*ACRL, "repro"), timeless),
)


def make_project(folder: Path) -> None:
    """A copy of what runs, whose profiles smoke and quick take seconds a stage."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    smoke = params["profiles"]["smoke"] | METHODS | {"tasks": ["R+L2"], "steps": 1000}
    smoke["methods_config"]["flowpg"]["flow"]["updates"] = 500
    params["profiles"] |= {"smoke": smoke, "quick": smoke}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def environment(folder: Path) -> dict[str, str]:
    """Of a command: the copy's packages, one thread a process, nothing reported."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    fixed = {"PATH": path, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return os.environ | fixed | {"DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def start(stage: Stage, folder: Path) -> subprocess.Popen[bytes]:
    """The stage's command in a process group of its own; what it prints goes to a file."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            stage.command, cwd=folder, env=environment(folder), stdout=log, stderr=log, start_new_session=True
        )


def finish(stage: Stage, folder: Path) -> float:
    """Run the command to its end; its seconds.

    Raises:
        RuntimeError: If it fails.
    """
    started = time.perf_counter()
    if start(stage, folder).wait() != 0:
        raise RuntimeError(f"stage {stage.name} failed:\n{(folder / 'log').read_text()[-2000:]}")
    return time.perf_counter() - started


def kill_and_finish(stage: Stage, folder: Path, seconds: float, most: int, chance: random.Random) -> int:
    """Start the command up to ``most`` times and kill it, then let it finish; how often it was killed."""
    kills = 0
    for _ in range(most):
        process = start(stage, folder)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, seconds))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    finish(stage, folder)
    return kills


def left_behind(folder: Path, compared: Callable[[Path], bool]) -> dict[str, Any]:
    """What a stage left, by file: contents that do not change from one undisturbed run to the next."""
    found: dict[str, Any] = {}
    for path in sorted([*folder.glob("*.npy"), *(folder / "results").rglob("*")]):
        name = path.relative_to(folder)
        # Locks, parts of writes that were cut short, and states of unfinished work are no results.
        passing = {"unfinished", "mlflow"} & set(name.parts) or any(part.startswith(".") for part in name.parts)
        if path.is_file() and not passing and compared(name):
            found[name.as_posix()] = contents(path)
    database = folder / "results/mlflow/mlflow.db"
    return found | ({"mlflow": tracked(database)} if database.exists() else {})


def contents(path: Path) -> Any:
    """A file's contents without what differs between undisturbed runs."""
    if path.suffix == ".safetensors":
        tensors, facts = load_tensors(path)
        named = {name: value.tolist() for name, value in tensors.items()}
        # Facts come in another order each time they are read.
        return json.dumps([named, {key: value for key, value in facts.items() if key not in VOLATILE}], sort_keys=True)
    if path.suffix == ".json":
        whole = json.loads(path.read_text())
        return {key: value for key, value in whole.items() if key not in VOLATILE}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tracked(database: Path) -> list[Any]:
    """The runs of an MLflow database, without the identifiers that are drawn."""
    client = MlflowClient(sqlite_uri(database))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    return sorted((run.info.status, sorted(run.data.params.items()), sorted(run.data.metrics)) for run in runs)


def try_stage(stage: Stage, before: Path, kills: int, chance: random.Random) -> tuple[str, bool]:
    """Run one stage undisturbed in ``before``, and killed in copies of it; a row of the log, and whether all agree."""
    with tempfile.TemporaryDirectory(dir=before.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        shutil.copytree(before, fresh)
        seconds = finish(stage, before)
        wanted = left_behind(before, stage.compared)
        done = trials = same = 0
        while done < kills and trials < 3 * kills:
            folder = Path(scratch) / f"trial-{trials}"
            shutil.copytree(fresh, folder)
            done += kill_and_finish(stage, folder, seconds, min(MOST_KILLS_A_TRIAL, kills - done), chance)
            trials += 1
            found = left_behind(folder, stage.compared)
            same += found == wanted
            for name in sorted(found.keys() | wanted.keys()):
                if found.get(name) != wanted.get(name):
                    print(f"{stage.name}, trial {trials}: {name} is not the same", file=sys.stderr, flush=True)
            shutil.rmtree(folder)
    return f"| {stage.name} | {seconds:.1f} | {done} | {same} of {trials} |", same == trials and done >= kills


def main() -> int:
    """Try every stage and print the log."""
    parser = argparse.ArgumentParser(description="Kill every stage at random moments and compare what is left.")
    parser.add_argument("--kills", type=int, default=60, help="in all, spread evenly over the stages")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--stage", action="append", help="only this stage; the ones before it run undisturbed")
    arguments = parser.parse_args()
    chance, agreed = random.Random(arguments.seed), True
    chosen = [stage for stage in STAGES if not arguments.stage or stage.name in arguments.stage]
    each = -(-arguments.kills // len(chosen))
    print("| stage | seconds undisturbed | kills | trials that end the same |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "project"
        make_project(project)
        for stage in STAGES:
            if stage not in chosen:
                finish(stage, project)
                continue
            row, same = try_stage(stage, project, each, chance)
            agreed &= same
            print(row, flush=True)
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
