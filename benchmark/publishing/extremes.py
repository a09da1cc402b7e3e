"""The best and the worst case of a claim: the strongest evidence for it and the strongest against it."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.analysis.claims.rule import Claim, Finding, Reading
from benchmark.publishing.claims import effect_number
from benchmark.publishing.tables.rendering import digits_of_interval

EXTREMES = "Many comparisons decide a verdict. The best case speaks most for the claim, the worst case most against it."
UNITS = {"share": "%", "ratio": " times", "rate": " times", "return": " difference in return"}
# Outcomes from the strongest against a claim to the strongest for it.
ORDER = ("contradicted", "open", "supported")


def extremes(claim: Claim) -> tuple[str, str]:
    """The best and the worst case of a claim."""
    judged = list(counted(claim))
    if not judged:
        return "not measured", "not measured"
    best = max(judged, key=lambda measured: strength(measured[1], measured[1].effect.low))
    worst = min(judged, key=lambda measured: strength(measured[1], measured[1].effect.mean))
    return evidence_text(*best), evidence_text(*worst)


def counted(claim: Claim) -> Iterable[tuple[Reading, Finding]]:
    """The measured comparisons that decide a claim, without those of a single seed, which may be luck."""
    for reading in claim.deciding:
        for finding in reading.findings:
            effect = finding.effect
            lone = effect.n == 1 and effect.low is None
            if finding.outcome != "not counted" and effect.mean is not None and not lone:
                yield reading, finding


def strength(finding: Finding, value: float | None) -> tuple[int, float]:
    """How strongly a finding supports its claim: by outcome, then by ``value``, or by the mean if it is None."""
    threshold = finding.threshold or 0.0
    value = (finding.effect.mean if value is None else value) or 0.0
    # Returns have the units of their task, as do their thresholds: the quotient compares across tasks.
    far = value / abs(threshold) if finding.unit == "return" and threshold else value - threshold
    return ORDER.index(finding.outcome), far


def evidence_text(reading: Reading, finding: Finding) -> str:
    """One number with its interval and origin, and why it is open, if it is."""
    number = effect_number(finding, digits_of_interval)
    why = f"; open: {finding.why}" if finding.why else ""
    return f"{number}{UNITS[finding.unit]} ({finding.task}, {reading.name}, n = {finding.effect.n}{why})"
