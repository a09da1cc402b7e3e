"""Numbers as the text of a cell."""

from __future__ import annotations

import pytest

from benchmark.publishing.tables.rendering import escape_latex, like, percent


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0"), (1, "100"), (0.5, "50.00"), (0.99999, "99.999"), (1 - 1e-9, "99.9999999"), (1e-7, "0.00001")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("mean", "value", "text"),
    [(0.05512, 0.1, "0.1000"), (1234.5, 99.6, "100"), (0.0001, 0.0, "0"), (-12.345, -0.5, "-0.5"), (0.0, 0.0, "0")],
)
def test_interval_has_the_digits_of_its_mean(mean: float, value: float, text: str) -> None:
    assert like(mean, whole=False)(value) == text


def test_latex_escapes() -> None:
    assert escape_latex("a_b & 5% <x>") == r"a\_b \& 5\% \textless{}x\textgreater{}"
