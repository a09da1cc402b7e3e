"""docs/result-schema.md names every field of every file, and no other."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml
from pydantic import BaseModel

from benchmark.analysis.comparison import Compared, Difference
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.records.reports import FlowReport, TimedRound, TimingReport, VisitedReport
from benchmark.records.results import (
    Calls,
    Evaluation,
    FinalPolicy,
    Provenance,
    Returns,
    RunResult,
    Seconds,
    ViolationCount,
    Violations,
)
from benchmark.records.submissions import Submission
from benchmark.verification.report import Finding, Verification
from tests.benchmark.command import ROOT

MODELS: tuple[type[BaseModel], ...] = (
    RunResult,
    RunConfig,
    EvaluationSettings,
    Returns,
    Evaluation,
    Violations,
    ViolationCount,
    FinalPolicy,
    Calls,
    Seconds,
    Provenance,
    FlowReport,
    VisitedReport,
    TimingReport,
    TimedRound,
    Submission,
    Verification,
    Finding,
    Compared,
    Difference,
)
PAGE = (ROOT / "docs" / "result-schema.md").read_text()


def sections() -> dict[str, str]:
    """The text below the heading of each model."""
    pieces = re.split(r"^#{2,3} (.*)$", PAGE, flags=re.MULTILINE)
    return {head.strip("`"): body for head, body in zip(pieces[1::2], pieces[2::2], strict=True) if head[0] == "`"}


def test_every_model_has_a_section() -> None:
    assert set(sections()) == {model.__name__ for model in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_explained(model: type[BaseModel]) -> None:
    rows = [line.split("|") for line in sections()[model.__name__].splitlines() if line.startswith("| `")]
    fields = [field for row in rows for field in re.findall(r"`(\w+)`", row[1])]
    assert sorted(fields) == sorted(model.model_fields)
    assert all(row[2].strip() for row in rows)


@pytest.mark.parametrize("name", ["ci", "submission"])
def test_workflows_are_what_the_makefile_and_python_need(name: str) -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            version = step.get("with", {}).get("python-version")
            assert version is None or wanted == f">={version}"
            for target in re.findall(r"make (\w+)", step.get("run", "")):
                assert target in targets
            script = step.get("run", "")
            assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
