"""A golden that cannot fail guards nothing: each planted mistake is noticed, within other processors' tolerance too."""

from __future__ import annotations

import pytest

from tests.golden.catalogue import GOLDENS
from tests.golden.mistakes import HARMLESS, MISTAKES, Mistake
from tests.golden.records import computed, differences, recorded


def found_off(mistake: Mistake, name: str) -> list[str]:
    """What a golden shows of a mistake, wherever it was recorded."""
    golden = GOLDENS[name]
    with pytest.MonkeyPatch.context() as patch:
        mistake.plant(patch)
        found = computed(golden)
    return differences(found, recorded(name)[0], golden.tolerance)


@pytest.mark.parametrize(
    ("name", "golden"), [(name, golden) for name, mistake in MISTAKES.items() for golden in mistake.goldens]
)
def test_it_is_noticed(name: str, golden: str) -> None:
    assert found_off(MISTAKES[name], golden)


@pytest.mark.parametrize(
    ("name", "golden"), [(name, golden) for name, plant in HARMLESS.items() for golden in plant.goldens]
)
def test_planting_alone_is_not(name: str, golden: str) -> None:
    assert not found_off(HARMLESS[name], golden)
