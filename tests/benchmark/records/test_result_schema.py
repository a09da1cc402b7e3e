"""docs/result-schema.md names every field of every file, and no other."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from benchmark.analysis import comparison
from benchmark.records import reports, results, submissions
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.verification import report
from tests.benchmark.command import ROOT

# Bases of others, and a report on what flows are trained on.
UNTOLD = {"Record", "File", "CoverageReport", "StateCoverage"}
MODELS: list[type[BaseModel]] = [
    *(RunConfig, EvaluationSettings),
    *(
        model
        for module in (results, reports, submissions, report, comparison)
        for name, model in vars(module).items()
        if isinstance(model, type) and issubclass(model, BaseModel)
        if model.__module__ == module.__name__ and name not in UNTOLD
    ),
]
PAGE = (ROOT / "docs" / "result-schema.md").read_text()


def sections() -> dict[str, str]:
    """The text below the heading of each model."""
    pieces = re.split(r"^#{2,3} (.*)$", PAGE, flags=re.MULTILINE)
    return {head.strip("`"): body for head, body in zip(pieces[1::2], pieces[2::2], strict=True) if head[0] == "`"}


def test_every_model_has_a_section() -> None:
    assert set(sections()) == {model.__name__ for model in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_explained(model: type[BaseModel]) -> None:
    items = [line.partition(": ") for line in sections()[model.__name__].splitlines() if line.startswith("- `")]
    fields = [field for names, _, _ in items for field in re.findall(r"`(\w+)`", names)]
    assert sorted(fields) == sorted(model.model_fields)
    assert all(meaning for _, _, meaning in items)
