"""The claims of the paper, each evaluated once by the rule of docs/claims.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.analysis.claims.gradients import evaluate_gradients
from benchmark.analysis.claims.outputs import evaluate_validity, evaluate_violations
from benchmark.analysis.claims.rule import Claim
from benchmark.analysis.claims.samplers import evaluate_samplers
from benchmark.analysis.claims.training import evaluate_returns, evaluate_wallclock
from benchmark.records.selection import Selection


@dataclass(frozen=True)
class Claims:
    """The claims C1 to C6 with all their measurements.

    Attributes:
        found: The results that they are evaluated on.
        all: The claims in order.
    """

    found: Selection
    all: tuple[Claim, ...]


def evaluate_claims(found: Selection, folder: Path) -> Claims:
    """Evaluate every claim on the results of a profile and the experiments below its ``folder``.

    Raises:
        UserError: If the numbers of an experiment are damaged.
    """
    claims = (
        evaluate_validity(found),
        evaluate_violations(found),
        evaluate_wallclock(found),
        evaluate_returns(found),
        evaluate_samplers(found, folder),
        evaluate_gradients(found, folder),
    )
    return Claims(found, claims)
