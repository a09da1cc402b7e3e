"""States lent to the global generators."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods.streams import Streams
from tests.methods.global_generators import global_states


def test_global_generators_are_put_back_after_an_error() -> None:
    before = global_states()
    streams = Streams(0)

    def fail() -> None:
        with streams.lent():
            torch.rand(3), np.random.standard_normal(), random.gauss()  # noqa: NPY002
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert global_states() == before


def drawn(streams: Streams) -> list[float]:
    with streams.lent():
        return [float(torch.rand(())), np.random.standard_normal(), random.gauss(0, 1)]  # noqa: NPY002


@given(seed=st.integers(0, 2**63), draws=st.integers(0, 3))
def test_streams_go_on_from_where_they_were_saved(seed: int, draws: int) -> None:
    streams, other = Streams(seed), Streams(seed + 1)
    # Normal numbers come in pairs, so that one is kept after an odd number of draws.
    for _ in range(draws):
        assert drawn(streams) != drawn(other)
    other.load_state_dict(streams.state_dict())
    for _ in range(3):
        assert drawn(streams) == drawn(other)
