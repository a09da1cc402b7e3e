"""``acrl sample``."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import click

from benchmark.commands.complete import completer
from benchmark.commands.options import seed_option, task_argument
from benchmark.commands.output import json_option, show


def _samplers() -> Iterable[str]:
    from benchmark.experiments.sampling import SAMPLERS

    return SAMPLERS


@click.command()
@task_argument
@click.option(
    "--sampler",
    required=True,
    shell_complete=completer(_samplers),
    help="rejection, hmc, or psdd (whole units, bike sharing alone).",
)
@click.option("--n", "count", type=click.IntRange(min=1), default=10_000, show_default=True, help="Number of samples.")
@seed_option
@click.option("--out", type=click.Path(path_type=Path), help="Write the actions (N, n) to this .npy file.")
@json_option
def sample(task: str, sampler: str, count: int, seed: int, out: Path | None, as_json: bool) -> None:
    """Draw feasible actions of TASK with a sampler and say how fast and how good it is.

    Where the constraint depends on the state, the states come from rollouts of random feasible actions, the same ones
    for the same seed and number whatever the sampler. Row i of the file is at state i modulo the number of states.
    """
    import numpy as np

    from benchmark.experiments.sampling import describe, run_sampler
    from benchmark.records.files import check_writable, write_bytes
    from envs.errors import UserError
    from envs.registry import make_task

    chosen = make_task(task)
    if out is not None:
        if out.is_dir():
            raise UserError(f"cannot write {out}: it is a folder; give the name of a file")
        check_writable(out)
    actions, report = run_sampler(chosen, sampler, count, seed)
    if out is not None:
        buffer = io.BytesIO()
        np.save(buffer, actions.numpy())
        write_bytes(out, buffer.getvalue())
    show(report, [describe(report)], as_json)
