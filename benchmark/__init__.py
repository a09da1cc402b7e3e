"""The harness, its results, and the tables, figures and MLflow runs made from them.

:func:`load_runs` and :func:`load_curves` give a profile's results as data frames, :func:`load_policy` a trained
policy. Importing this package imports neither pandas nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from benchmark.training.policies import TrainedPolicy

__all__ = ["load_curves", "load_policy", "load_runs"]


def load_runs(profile: str, results: str | Path = "results") -> pd.DataFrame:
    """Load the complete runs of a profile, one row per run.

    The methods of the profile come first, then ``random-feasible`` and ``hold``. Runs on unconstrained tasks, the
    references of score 1, are left out.

    Columns:

    - ``task``, ``method``, ``seed``: what was run.
    - ``return``: mean undiscounted return of the last policy over the final evaluation.
    - ``best_return``: the same for the policy with the best evaluation during training.
    - ``score``: ``return`` on the task's scale, 0 for random feasible actions and 1 for DDPG without the
      constraint; NaN if the task has no reference returns.
    - ``valid_0``, ``valid_1e-06``, ``valid_0.001``, ``valid_0.01``, ``valid_0.1``: share of the last policy's raw
      outputs that violate the constraint by at most this tolerance.
    - ``violations``: number of infeasible raw outputs of the policy during training, at tolerance 0.
    - ``steps``: training steps in the environment.
    - ``seconds``, ``prepare_seconds``: wall-clock of training and of the preparation before it, such as a flow's.
    - ``run_key``: hash of the run's request: versions, settings and seed.

    Args:
        profile: A profile of ``params.yaml``, such as ``"small"``.
        results: Folder of all results.

    Raises:
        UserError: If the profile is unknown or has no runs there, or a file is damaged.
    """
    from benchmark.analysis.frames import read_profile, runs_frame

    return runs_frame(read_profile(profile, results))


def load_curves(profile: str, results: str | Path = "results") -> pd.DataFrame:
    """Load the learning curves of a profile, one row per run and evaluation.

    Columns:

    - ``task``, ``method``, ``seed``: what was run.
    - ``step``: training steps so far.
    - ``return``: mean undiscounted return of the evaluation.
    - ``violations``: number of infeasible raw outputs of the policy so far, at tolerance 0.

    Args:
        profile: A profile of ``params.yaml``, such as ``"small"``.
        results: Folder of all results.

    Raises:
        UserError: As :func:`load_runs`.
    """
    from benchmark.analysis.frames import curves_frame, read_profile

    return curves_frame(read_profile(profile, results).found)


def load_policy(path: str | Path) -> TrainedPolicy:
    """Load a policy that `acrl export` wrote.

    It maps an observation (o,) to an action (n,), or observations (B, o) to actions (B, n), in the environment's units.
    Actions may be infeasible: ``gymnasium.make("envs:acrl/...")`` projects them.

    Args:
        path: Its .safetensors file. A flow that it acts through is in a folder next to it.

    Raises:
        UserError: If the file is missing, damaged, or of another version of the task or method.
    """
    from pathlib import Path

    from benchmark.training import policies

    return policies.load_policy(Path(path))
