"""The rule of docs/claims.md: from effects to outcomes, to the verdicts of readings, and to that of a claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from benchmark.analysis.statistics import Estimate

Outcome = Literal["supported", "contradicted", "open", "not counted"]
Verdict = Literal["reproduced", "partly", "not reproduced", "not testable at this budget"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "partly", "not reproduced", "not testable at this budget")

NOT_RUN = "not run"
BOTH_SIDES = "the interval holds the threshold"


@dataclass(frozen=True)
class Budget:
    """The budget of a result and that of the paper, in ``unit``."""

    done: int
    published: int
    unit: str = "steps"

    def below(self, share: float) -> str:
        """Why the budget is too small, if it is below this share of the published one; else empty."""
        wanted = "the" if share == 1 else f"{share:.0%} of the"
        return f"less than {wanted} published {self.unit}" if self.done < share * self.published else ""


@dataclass(frozen=True)
class Finding:
    """One measured effect on one task, compared with the threshold of a claim.

    Attributes:
        task: Task, or other object of the measurement.
        effect: The effect with its interval.
        threshold: Where the claim's side begins; None if the claim gives no single figure.
        outcome: What the effect says about the claim.
        why: Why it is open; empty if it is not.
        wanted: Number of runs wanted.
        unit: "share", "ratio", "rate" or "return".
        solver: How the runs of the baseline project.
        note: A note on this effect.
        sources: Names of its sources (``records.reports``), including those that do not exist yet.
    """

    task: str
    effect: Estimate
    threshold: float | None
    outcome: Outcome
    why: str
    wanted: int
    unit: str
    budget: Budget | None = None
    solver: str = ""
    note: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """One way to read a claim's sentence, over all tasks.

    Attributes:
        name: Name for prose, such as "against nfw at tolerance 0".
        keys: Its row in the claim's tables, by column.
        column: Its column.
        findings: One per task that the sentence is about.
        up_to: Whether the sentence says "up to", so that one task suffices.
        decides: Whether the claim's verdict depends on it.
        tolerance: Its tolerance, if it has one.
        missing: Why there are no findings, and what to do.
        aside: Heading of its own table, if it is not part of the claim; else empty.
    """

    name: str
    keys: dict[str, str]
    column: str
    findings: tuple[Finding, ...]
    up_to: bool
    decides: bool
    tolerance: float | None = None
    missing: str = ""
    aside: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of its findings."""
        return tuple(dict.fromkeys(name for finding in self.findings for name in finding.sources))

    def tasks(self, outcome: Outcome) -> list[str]:
        """The tasks with this outcome."""
        return [finding.task for finding in self.findings if finding.outcome == outcome]

    @property
    def counts(self) -> bool:
        """Whether it has, or would have, findings that count."""
        return not self.findings or any(finding.outcome != "not counted" for finding in self.findings)

    @property
    def verdict(self) -> Verdict:
        """The verdict of the findings together."""
        supported, contradicted, open_ = (self.tasks(kind) for kind in ("supported", "contradicted", "open"))
        if supported:
            return "reproduced" if self.up_to or not (contradicted or open_) else "partly"
        decided = contradicted and not (self.up_to and open_)
        return "not reproduced" if decided else "not testable at this budget"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper with all its measurements.

    Attributes:
        id: "C1" and so on.
        title: Short title.
        said: What the paper says, in our words and with its figures.
        source: Where the paper says it.
        readings: All readings, deciding or not.
        notes: Notes on the tables, such as the machine.
        extra: Further tables by heading.
    """

    id: str
    title: str
    said: str
    source: str
    readings: tuple[Reading, ...]
    notes: tuple[str, ...] = ()
    extra: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def deciding(self) -> list[Reading]:
        """The readings that the verdict depends on."""
        return [reading for reading in self.readings if reading.decides]

    @property
    def verdict(self) -> Verdict:
        """The verdict of the deciding readings together."""
        found = {reading.verdict for reading in self.deciding}
        if found == {"reproduced"}:
            return "reproduced"
        if found & {"reproduced", "partly"}:
            return "partly"
        return "not reproduced" if "not reproduced" in found else "not testable at this budget"

    @property
    def reason(self) -> str:
        """The reason for the verdict in one line: readings by verdict, and the number of comparisons."""
        parts = []
        if len({reading.verdict for reading in self.deciding}) > 1:
            for verdict in VERDICTS:
                names = [reading.name for reading in self.deciding if reading.verdict == verdict]
                parts += [f"{verdict}: {', '.join(names)}"] if names else []
        counts = {
            kind: sum(len(r.tasks(kind)) for r in self.deciding) for kind in ("supported", "contradicted", "open")
        }
        if sum(counts.values()):
            listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
            parts.append(f"comparisons: {listed}")
        why = open_reasons(self.deciding)
        parts += [f"open: {'; '.join(why)}"] if why else []
        return "; ".join(parts)


def decide(effect: Estimate, threshold: float, no_support: str = "", no_contradiction: str = "") -> tuple[Outcome, str]:
    """Compare an effect with the threshold above which the claim is right.

    Args:
        effect: The effect; without an interval it decides nothing.
        threshold: Where the claim's side begins.
        no_support: Why the effect cannot support the claim, if it cannot.
        no_contradiction: Why the effect cannot contradict the claim, if it cannot.

    Returns:
        The outcome, and why it is open, if it is.
    """
    if effect.low is None or effect.high is None:
        return "open", no_support or effect.method.removeprefix("none: ")
    if effect.low >= threshold:
        return ("open", no_support) if no_support else ("supported", "")
    if effect.high < threshold:
        return ("open", no_contradiction) if no_contradiction else ("contradicted", "")
    return "open", no_support or BOTH_SIDES


def open_reasons(readings: Iterable[Reading]) -> list[str]:
    """What is missing, and why comparisons are open, each reason with its tasks in order."""
    by_reason: dict[str, list[str]] = {}
    missing: list[str] = []
    for reading in readings:
        if reading.missing and reading.missing not in missing:
            missing.append(reading.missing)
        for finding in reading.findings:
            if finding.outcome == "open":
                tasks = by_reason.setdefault(finding.why, [])
                tasks += [] if finding.task in tasks else [finding.task]
    return missing + [f"{why} ({', '.join(tasks)})" for why, tasks in by_reason.items()]
