"""Methods that do one thing wrong are caught by the check of that thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from benchmark.conformance import test_methods, test_training
from benchmark.conformance.method_trial import MethodTrial, small_settings
from envs import UserError, make_task
from envs.constraints import Ball
from methods import base
from methods.base import Method
from tests.benchmark.conformance.checks import assert_caught, checks_of
from tests.benchmark.conformance.methods import FAULTS, REPLACES_FOR_ALL, Learner
from tests.methods.learners import FLOW_METHODS, METHODS

CHECKS = checks_of(test_methods, test_training)
TrialOf = Callable[[type[Method]], MethodTrial]


@pytest.fixture(scope="module")
def trial_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialOf]:
    """Registers a class and tries it out on Reacher."""
    with pytest.MonkeyPatch.context() as patch:

        def make(cls: type[Method]) -> MethodTrial:
            name = f"plug-in-{id(cls)}"
            patch.setattr(cls, "id", name, raising=False)
            patch.setitem(base._METHODS, name, cls)
            return MethodTrial(name, make_task("R+L2"), small_settings(name, {}), tmp_path_factory.mktemp("artifacts"))

        yield make


@pytest.fixture(scope="module")
def right(trial_of: TrialOf) -> MethodTrial:
    return trial_of(Learner)


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_one_passes(check: str, right: MethodTrial) -> None:
    CHECKS[check](right)


@pytest.mark.parametrize(("cls", "check"), FAULTS)
def test_a_wrong_one_is_caught(
    cls: type[Learner], check: str, trial_of: TrialOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_training, "SLOWEST", 0.02 if check == "test_step_time" else 2.0)
    assert_caught(CHECKS[check], trial_of(cls))


def test_every_check_has_one_that_it_catches() -> None:
    assert {fault.values[1] for fault in FAULTS} == set(CHECKS)


def test_what_was_replaced_is_put_back(trial_of: TrialOf) -> None:
    before = dict(vars(Ball))
    assert_caught(test_training.test_constraint_untouched, trial_of(REPLACES_FOR_ALL.values[0]))
    assert dict(vars(Ball)) == before


@pytest.mark.parametrize("method", METHODS)
def test_shipped_methods_are_checked_small(method: str) -> None:
    found = small_settings(method, {"batch_size": 5})
    assert found["hidden"] == [16, 16]
    assert found["batch_size"] == 5
    assert ("flow" in found) == (method in FLOW_METHODS)
    with pytest.raises(UserError, match="setting 'bath_size'"):
        small_settings(method, {"bath_size": 5})
