"""Effective sample size and R-hat of chains, by ArviZ."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.constraints.base import Constraint
from envs.sampling.samples import Samples

LEAST_DRAWS = 4
TAIL = (0.05, 0.95)
# The most states to diagnose: ArviZ takes a millisecond per state, and a mean over this many is close enough.
MOST_STATES = 64


def diagnose(samples: Samples, constraint: Constraint, obs: Tensor) -> Samples:
    """The same samples with ``ess`` and ``rhat`` filled in (Vehtari et al. 2021, rank-normalised).

    Chains at different states have different limits, so only chains that share a state are compared, that is, every
    variable that enters the constraint. The effective sample size of a state is the smallest over bulk and tail of the
    coordinates and of the squared distance to the mean, and at most its number of draws. ``ess`` is the sum over
    states, extrapolated from 64 evenly spaced ones if there are more. ``rhat`` is the largest over the same quantities
    and these states; it is None if no two chains share a state. Both are None for fewer than four draws per chain,
    which tell nothing.

    Args:
        samples: From :func:`envs.sampling.hmc.sample_hmc`.
        constraint: The set.
        obs: States (C, o) of the chains.
    """
    draws = samples.actions.view(-1, len(obs), constraint.dim).numpy()
    if len(draws) < LEAST_DRAWS:
        return samples
    states = _same_state(constraint.context(obs))
    chosen = states[:: math.ceil(len(states) / MOST_STATES)]
    # ArviZ imports xarray, which takes long, and only chains need it.
    from arviz_stats.base import array_stats

    effective, size, disagreements = 0.0, 0, []
    for chains in chosen:
        # ArviZ expects chains and draws last: (n, chains, draws).
        values = _quantities(draws[:, chains].transpose(2, 1, 0))
        bulk = array_stats.ess(values, chain_axis=1, draw_axis=2)
        tail = array_stats.ess(values, chain_axis=1, draw_axis=2, method="tail", prob=TAIL)
        effective += min(float(min(bulk.min(), tail.min())), values[0].size)
        size += values[0].size
        if len(chains) > 1:
            disagreements.append(float(array_stats.rhat(values, chain_axis=1, draw_axis=2).max()))
    ess = effective / size * len(samples.actions)
    return dataclasses.replace(samples, ess=ess, rhat=max(disagreements, default=None))


def _quantities(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates of draws (n, chains, draws), and their squared distance to the mean, as (n + 1, chains, draws).

    Reflection at a sphere keeps the distance to its centre, so it may mix more slowly than any coordinate.
    """
    distance = ((values - values.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=0, keepdims=True)
    return np.concatenate([values, distance])


def _same_state(context: Tensor) -> list[NDArray[np.int64]]:
    """Chains by state: for each distinct row of ``context`` (C, k) the indices of the rows that equal it."""
    if not context.shape[1]:
        return [np.arange(len(context))]
    _, state = torch.unique(context, dim=0, return_inverse=True)
    order = torch.argsort(state, stable=True).numpy()
    return np.split(order, np.bincount(state.numpy()).cumsum()[:-1])
