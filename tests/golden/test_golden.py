"""What was recorded is what is computed: to the bit on the machine that recorded it, within a tolerance elsewhere."""

from __future__ import annotations

import pytest

from tests.golden.catalogue import GOLDENS
from tests.golden.records import computed, differences, record, recorded


@pytest.mark.parametrize("name", GOLDENS)
def test_it_is_as_recorded(name: str, request: pytest.FixtureRequest) -> None:
    golden = GOLDENS[name]
    found = computed(golden)
    if request.config.getoption("--record", default=False):
        record(name, found)
        pytest.skip("recorded")
    expected, here = recorded(name)
    found_off = differences(found, expected, 0.0 if golden.bitwise and here else golden.tolerance)
    assert not found_off, "\n".join(["undo the change, or raise the version and record anew:", *found_off])
