"""docs/result-schema.md names every field of every file, and no other."""

from __future__ import annotations

import re

import pytest
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
