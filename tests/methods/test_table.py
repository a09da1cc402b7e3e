"""The table of rows in docs/methods.md says what the methods' settings say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from envs import make_task
from methods import list_methods, make_method
from methods.base import method_class
from methods.ddpg import DDPG
from methods.ddpg_penalty import DDPGPenalty
from methods.learner import Learner
from methods.sac import SAC
from methods.td3 import TD3

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"
METHODS = list_methods()


def table() -> dict[str, list[str]]:
    """Cells by id."""
    lines = PAGE.read_text().partition("| id |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in rows}


ROWS = table()


def executed(learner: Learner[Any], head: str) -> str:
    if head == "identity":
        return "projected, by a QP" if learner.projection_solver == "cvxpy" else "projected"
    inside = isinstance(learner, SAC) or learner.config.noise_at == "output"
    return "as it is" if inside else "projected after noise"


def penalty(learner: Learner[Any]) -> str:
    if isinstance(learner, DDPGPenalty):
        return "distance moved, in the reward"
    return "violation, in the loss" if learner.config.raw_penalty else "—"


def test_every_method_has_its_row() -> None:
    assert sorted(ROWS) == METHODS


@pytest.mark.parametrize("method", [id for id in METHODS if issubclass(method_class(id), Learner)])
def test_a_row_says_what_the_settings_say(method: str) -> None:
    learner = make_method(method, make_task("R+L2"))
    assert isinstance(learner, Learner)
    head = type(learner.head).__name__.removesuffix("Head").lower()
    kind = next((cls.__name__ for cls in (SAC, TD3, DDPG) if isinstance(learner, cls)), "its own")
    config = learner.config
    assert ROWS[method][1:] == [
        kind,
        head,
        executed(learner, head),
        config.critic_action,
        config.target,
        penalty(learner),
    ]


@pytest.mark.parametrize("method", METHODS)
def test_its_paper_is_the_one_of_its_file(method: str) -> None:
    said = ROWS[method][0]
    if "(" in said:
        number = said.partition("(")[2].strip(")")
        assert number in (sys.modules[method_class(method).__module__].__doc__ or "")
