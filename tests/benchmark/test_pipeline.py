"""The real pipeline, `dvc repro`, in a copy of the repository whose profile quick is as small as smoke."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("benchmark", "envs", "methods", "dvc.yaml", "params.yaml", "Makefile", ".dvc/config", ".dvcignore")
METHODS = ("flowpg", "nfw", "ddpg-penalty")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy without git, as set up there, on one task and one seed."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    methods = {"flow_methods": ["flowpg"], "plain_methods": list(METHODS[1:])}
    params["profiles"]["quick"] = params["profiles"]["smoke"] | methods | {"tasks": ["R+L2"], "unconstrained": ["R+N"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    # All of `make setup` but the environment, which is this one.
    run(folder, "make", "setup", "--old-file", ".venv/.installed").check_returncode()
    return folder


@pytest.fixture(scope="module")
def reproduced(project: Path) -> Path:
    """The copy after its first repro."""
    done = dvc(project, "repro", "--keep-going")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run DVC on the copy."""
    return run(folder, sys.executable, "-m", "dvc", *arguments)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this environment's programs and the copy's packages."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def result(project: Path, method: str) -> dict[str, object]:
    """One run's JSON."""
    return json.loads((project / f"results/quick/runs/R+L2/{method}/seed-0.json").read_text())


def stages_run(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Names of the stages that a repro ran."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1] for line in lines}


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


def test_nothing_to_do_runs_nothing(reproduced: Path) -> None:
    done = dvc(reproduced, "repro")
    assert done.returncode == 0
    assert stages_run(done) == set()


def test_reruns_what_changed_and_keeps_failures_apart(reproduced: Path) -> None:
    keys = {method: result(reproduced, method)["run_key"] for method in METHODS}
    penalty, nfw = reproduced / "methods/ddpg_penalty.py", reproduced / "methods/nfw.py"
    whole = penalty.read_text()
    penalty.write_text(whole.replace("        moved =", '        raise RuntimeError("on purpose")\n        moved ='))
    nfw.write_text(nfw.read_text() + "\n# An edit.\n")
    done = dvc(reproduced, "repro", "--keep-going")
    assert done.returncode != 0
    trained = {stage for stage in stages_run(done) if stage.startswith(("samples", "flows", "train"))}
    assert trained == {"train@R+L2-nfw", "train@R+L2-ddpg-penalty"}
    assert "tables" not in stages_run(done)
    failed = result(reproduced, "ddpg-penalty")
    assert (failed["status"], failed["error"]) == ("failed", "RuntimeError: on purpose")
    assert result(reproduced, "nfw")["status"] == "complete"
    assert result(reproduced, "nfw")["run_key"] != keys["nfw"]

    penalty.write_text(whole)
    again = dvc(reproduced, "repro")
    assert again.returncode == 0, again.stdout + again.stderr
    # With the old code the old result is right again: DVC puts it back from its cache, whole, and runs nothing.
    assert {"plan", "tables", "mlflow"} <= stages_run(again)
    assert not [stage for stage in stages_run(again) if stage.startswith(("samples", "flows", "train"))]
    assert result(reproduced, "ddpg-penalty")["status"] == "complete"
    assert {method for method in METHODS if result(reproduced, method)["run_key"] != keys[method]} == {"nfw"}
