"""The real pipeline in a copy of the repository, at first without git, whose profile quick is as small as smoke."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from filelock import FileLock

from tests.benchmark.command import ROOT, files, git

COPIED = (
    *("benchmark", "envs", "methods", "dvc.yaml", "Makefile", "requirements.lock"),
    *(".dvc/config", ".dvc/plots", ".dvc/.gitignore", ".dvcignore", ".gitignore"),
)
METHODS = ("flowpg", "nfw", "ddpg-penalty")
STAGES = [
    *("plan", "flows", "train R+L2", "train-unconstrained R+N", "visited", "timing", "samplers", "experiments"),
    *("tables", "report", "mlflow"),
]
LOSS = "        project, oracle = ("

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Path:
    """The copy, with one task and one seed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "bin").symlink_to(program.parent)
    (folder / ".dvc").mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    methods = {"flow_methods": ["flowpg"], "plain_methods": list(METHODS[1:])}
    params["profiles"]["quick"] = params["profiles"]["smoke"] | methods | {"tasks": ["R+L2"], "unconstrained": ["R+N"]}
    # DVC changes a setting wherever an alias of it stands.
    (folder / "params.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(params))))
    return folder


@pytest.fixture(scope="module")
def interrupted(project: Path) -> tuple[str, str, list[str]]:
    """What the first `acrl repro`, stopped by Ctrl-C while it trains, printed, said on stderr and left half-written."""
    nfw = project / "methods/nfw.py"
    whole = replace(nfw, LOSS, f'        open("at-work", "w").close()\n        __import__("time").sleep(600)\n{LOSS}')
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # The installed program, which Ctrl-C reaches.
    variables = environment(project, programs=())
    process = subprocess.Popen(["acrl", "repro"], cwd=project, env=variables, start_new_session=True, **pipes)
    while not (project / "at-work").exists():
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate()
    assert process.returncode == 130
    while at_work(process.pid):
        time.sleep(0.1)
    nfw.write_text(whole)
    return printed, errors, [name for name in files(project / "results") if Path(name).name.startswith(".")]


@pytest.fixture(scope="module")
def reproduced(project: Path, interrupted: tuple[str, str, list[str]]) -> Path:
    """The copy after a `make repro` that goes on from there, all of it but the environment, which is this one."""
    done = run(project, "make", "repro", "--old-file", ".venv/.installed")
    told = [f"stage {n} of {len(STAGES)}: {name}" for n, name in enumerate(STAGES, start=1)]
    assert stages_of(interrupted[0]) == told[:3]
    # The plan is made each time, the flows were there.
    assert stages_of(done.stdout) == [told[0], *told[2:]]
    assert "stages made in" in done.stdout
    # The question at the end: this profile is not the one that there is a reference of.
    assert "error: profile 'quick' has no reference" in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    return project


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this environment's programs and the copy's packages."""
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)


def environment(folder: Path, programs: Sequence[str] = ("bin",)) -> dict[str, str]:
    paths = [*(str(folder / name) for name in programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    return os.environ | {"PATH": os.pathsep.join(paths), "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}


def stages_of(printed: str) -> list[str]:
    """What was said of the stages, without the time left."""
    return re.findall("^(stage [^,]+),", printed, re.MULTILINE)


def result(project: Path, method: str) -> dict[str, object]:
    """One run's JSON."""
    return json.loads((project / f"results/quick/runs/R+L2/{method}/seed-0.json").read_text())


def at_work(group: int) -> list[psutil.Process]:
    """The processes of a group, but for those that have ended and were not yet asked how."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def replace(path: Path, old: str, new: str) -> str:
    """Change a file; returns what it was."""
    whole = path.read_text()
    assert old in whole
    path.write_text(whole.replace(old, new))
    return whole


def test_an_interrupt_stops_everything(interrupted: tuple[str, str, list[str]]) -> None:
    _, errors, half_written = interrupted
    assert errors.splitlines()[-1].endswith(" Resume with: acrl repro")
    assert half_written == []


def test_makes_results_tables_figures_and_the_database(reproduced: Path) -> None:
    assert {result(reproduced, method)["status"] for method in METHODS} == {"complete"}
    made = reproduced / "results/quick"
    for name in ("leaderboard", "flows", "violations", "wallclock", "timing", "returns"):
        assert all((made / "tables" / f"{name}.{ending}").stat().st_size for ending in ("csv", "md", "tex"))
    assert len(list((made / "figures").glob("*.png"))) == len(list((made / "figures").glob("*.svg"))) > 0
    assert (reproduced / "results/mlflow/mlflow.db").exists()
    assert {path.stem for path in (made / "experiments").glob("*.csv")} == {"e1", "e2", "e3", "n1", "n2", "n3", "c6"}
    assert (made / "site/index.html").exists()
    assert "not testable at this budget" in (made / "claims.md").read_text()


def test_with_nothing_to_do_nothing_is_run(reproduced: Path) -> None:
    assert run(reproduced, "acrl", "repro").stdout == "nothing to do\n"
    # Which DVC itself needs.
    git(reproduced, "init", "-q")
    plain = run(reproduced, sys.executable, "-m", "dvc", "repro")
    assert (plain.returncode, "Running stage" in plain.stdout) == (0, False)


def test_beside_another_one_it_is_refused(reproduced: Path) -> None:
    log = (reproduced / "results/repro.log").read_bytes()
    with FileLock(reproduced / "results/.repro.lock"):
        done = run(reproduced, "acrl", "repro")
    message = "error: another `acrl repro` is running here: wait for it or stop it\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert (reproduced / "results/repro.log").read_bytes() == log


def test_what_fails_stops_what_needs_it_and_is_told_at_the_end(reproduced: Path) -> None:
    before = {method: result(reproduced, method) for method in METHODS}
    tables = reproduced / "results/quick/tables/returns.csv"
    penalty, nfw = reproduced / "methods/ddpg_penalty.py", reproduced / "methods/nfw.py"
    whole = replace(penalty, "        moved =", '        raise RuntimeError("on purpose")\n        moved =')
    replace(penalty, "version=1", "version=2")
    replace(nfw, "version=2", "version=3")
    tables.unlink()

    done = run(reproduced, "acrl", "repro")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "failed: R+L2 ddpg-penalty seed 0: RuntimeError: on purpose",
        "error: 1 of 5 runs failed; the others are complete",
        "error: ddpg-penalty on R+L2 failed: RuntimeError: on purpose",
    ]
    told = done.stdout.splitlines()
    assert "failed: train R+L2, timing" in told
    assert "made from incomplete input, and to be made again: tables, report, mlflow" in told
    assert "skipped, because they need what failed: visited, experiments" in told
    failed = result(reproduced, "ddpg-penalty")
    assert (failed["status"], failed["error"]) == ("failed", "RuntimeError: on purpose")
    assert result(reproduced, "nfw")["run_key"] != before["nfw"]["run_key"]
    # Not made again: when it was made is in it.
    assert result(reproduced, "flowpg") == before["flowpg"]
    assert ",nfw," in tables.read_text()

    penalty.write_text(whole)
    again = run(reproduced, "acrl", "repro")
    assert (again.returncode, again.stderr) == (0, "")
    assert result(reproduced, "ddpg-penalty") == before["ddpg-penalty"]


def dvc(project: Path, *arguments: str) -> Any:
    """What DVC prints as JSON."""
    done = run(project, sys.executable, "-m", "dvc", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_experiments_of_dvc_show_returns_validity_and_curves_by_method(reproduced: Path) -> None:
    # DVC makes commits of its own.
    for arguments in (["init", "-q"], ["config", "user.name", "A"], ["config", "user.email", "a@example.org"]):
        git(reproduced, *arguments)
    git(reproduced, "add", "-A")
    git(reproduced, "commit", "-qm", "first")
    name = "results/quick/metrics.json"
    final = json.loads((reproduced / "results/quick/runs/R+L2/nfw/seed-0.json").read_text())["returns"]["final"]["mean"]
    (shown,) = [found["data"][name]["data"] for found in dvc(reproduced, "metrics", "show", "--json").values()]
    assert shown["R+L2"]["nfw"]["return"] == pytest.approx(final)
    assert 0 <= shown["R+L2"]["nfw"]["valid_1e-6"] <= 1

    stages = ("plan", "train@R+L2", "tables")
    changed = ("-S", "profiles.quick.learner.warmup=70", "-n", "later")
    done = run(reproduced, sys.executable, "-m", "dvc", "exp", "run", "-s", *stages, *changed)
    assert done.returncode == 0, done.stderr
    diff = dvc(reproduced, "metrics", "diff", "HEAD", "--json")[name]
    assert diff["R+L2.nfw.return"]["old"] == pytest.approx(final)
    assert diff["R+L2.nfw.return"]["diff"] != 0
    listed = run(reproduced, sys.executable, "-m", "dvc", "exp", "show", "--csv").stdout
    head, *rows = csv.reader(listed.splitlines())
    (row,) = [dict(zip(head, row, strict=True)) for row in rows if "later" in row]
    assert row["profiles.quick.learner.warmup"] == "70"
    assert float(row["R+L2.nfw.return"]) != pytest.approx(final)
    plot = dvc(reproduced, "plots", "diff", "HEAD", "--show-vega", "--targets", "results/quick/curves.csv")
    points = {(point["rev"], point["method"], point["step"]) for point in plot["data"]["values"]}
    assert {(rev, "nfw", str(step)) for rev in ("HEAD", "workspace") for step in (50, 100, 150)} <= points
