"""The rule of docs/claims.md: from an effect to an outcome, from outcomes to a reading's verdict and to a claim's."""

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
    """What was spent on a result and what the paper spent, in ``unit``."""

    done: int
    published: int
    unit: str = "steps"

    def below(self, share: float) -> str:
        """Why too little was spent, if it was less than this share of the published budget; else empty."""
        wanted = "the" if share == 1 else f"{share:.0%} of the"
        return f"less than {wanted} published {self.unit}" if self.done < share * self.published else ""


@dataclass(frozen=True)
class Finding:
    """One measured effect on one task, held against the threshold of a claim.

    Attributes:
        task: Task, or what else the effect was measured on.
        effect: With its interval.
        threshold: The claim's side begins here; None where the claim gives no single figure.
        outcome: What it says about the claim.
        why: What keeps it open; empty where it does not.
        wanted: N of "n of N".
        unit: "share", "ratio", "rate" or "return".
        solver: Who projects in the runs compared with.
        note: What a reader has to know about this one.
        sources: What it was measured in, by the names of ``records.reports``; those not there yet included.
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
        name: For prose, such as "against nfw at tolerance 0".
        keys: The row of the claim's tables that it is in, by column.
        column: The column that it is in.
        findings: One a task that the sentence is about.
        up_to: Whether the sentence says "up to", and so speaks of the best task.
        decides: Whether the claim's verdict depends on it.
        tolerance: Where there is one.
        missing: Why there are no findings, and what to do.
        aside: Heading of a table of its own for what is shown beside the claim; else empty.
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
        """What its findings were measured in."""
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
        """What the findings say together."""
        supported, contradicted, open_ = (self.tasks(kind) for kind in ("supported", "contradicted", "open"))
        if supported:
            return "reproduced" if self.up_to or not (contradicted or open_) else "partly"
        decided = contradicted and not (self.up_to and open_)
        return "not reproduced" if decided else "not testable at this budget"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper with everything that was measured about it.

    Attributes:
        id: "C1" and so on.
        title: What it is about.
        said: What the paper says, in our words but for its figures.
        source: Where the paper says it.
        readings: Every reading, deciding or not.
        notes: What the tables do not say, such as the machine.
        extra: Further tables, by heading.
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
        """What the deciding readings say together."""
        found = {reading.verdict for reading in self.deciding}
        if found == {"reproduced"}:
            return "reproduced"
        if found & {"reproduced", "partly"}:
            return "partly"
        return "not reproduced" if "not reproduced" in found else "not testable at this budget"

    @property
    def reason(self) -> str:
        """The verdict's grounds in one line: the readings by verdict, and how many comparisons stand behind them."""
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
    """Hold an effect against a threshold from which on the claim is right.

    Args:
        effect: The effect; without an interval it decides nothing.
        threshold: Where the claim's side begins.
        no_support: Why it could not speak for the claim, whatever it is.
        no_contradiction: Why it could not speak against it.

    Returns:
        The outcome, and why it is open where it is.
    """
    if effect.low is None or effect.high is None:
        return "open", no_support or effect.method.removeprefix("none: ")
    if effect.low >= threshold:
        return ("open", no_support) if no_support else ("supported", "")
    if effect.high < threshold:
        return ("open", no_contradiction) if no_contradiction else ("contradicted", "")
    return "open", no_support or BOTH_SIDES


def open_reasons(readings: Iterable[Reading]) -> list[str]:
    """Why comparisons are open, each reason with its tasks in the order in which they come, and what is missing."""
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
