"""Every field of every file is described in the docstring of its class, which docs/result-schema.md renders."""

from __future__ import annotations

import inspect
import re

import pytest
from griffe import Docstring, DocstringSectionAttributes
from pydantic import BaseModel

from benchmark.analysis import comparison
from benchmark.records import reports, results, submissions
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.verification import report
from tests.benchmark.command import ROOT

MODELS: list[type[BaseModel]] = [
    *(RunConfig, EvaluationSettings),
    *(
        model
        for module in (results, reports, submissions, report, comparison)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
        if model.__module__ == module.__name__ and model is not results.Record
    ),
]
PAGE = (ROOT / "docs" / "result-schema.md").read_text()


def test_the_page_renders_every_model() -> None:
    rendered = re.findall(r"^::: ([\w.]+)\n    options: \{members: \[(.+)\]\}$", PAGE, re.MULTILINE)
    names = {f"{module}.{name}" for module, members in rendered for name in members.split(", ")}
    assert names == {f"{model.__module__}.{model.__name__}" for model in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_described(model: type[BaseModel]) -> None:
    sections = Docstring(inspect.getdoc(model) or "").parse("google", warnings=False)
    attributes = [each for one in sections if isinstance(one, DocstringSectionAttributes) for each in one.value]
    assert [attribute.name for attribute in attributes] == list(inspect.get_annotations(model))
    assert all(attribute.description for attribute in attributes)
