"""``acrl check``."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Sequence

import click

from benchmark.commands.options import json_option, show


@click.command()
@click.argument("plugin", required=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--task", "tasks", multiple=True, help="Check methods on this task; may be repeated.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the method; repeatable.")
@json_option
def check(
    plugin: str | None, options: tuple[str, ...], tasks: Sequence[str], settings: Sequence[str], as_json: bool
) -> None:
    """Check that PLUGIN does what the benchmark relies on: a method, a task, or everything if left out.

    PLUGIN is an id, or the path of a Python file that registers methods or tasks. Pytest runs the checks; OPTIONS after
    "--" are its own, such as -v, -x or -k seed. Methods are checked with small networks on R+L2, HC+O and BSS-3, which
    takes seconds a task, and minutes for everything. The exit code is 1 if a check fails.
    """
    import pytest

    from benchmark.conformance.running import run_checks
    from envs.errors import UserError

    # "--" without a PLUGIN before it.
    if plugin and plugin.startswith("-"):
        options, plugin = (plugin, *options), None
    with contextlib.redirect_stdout(io.StringIO()) if as_json else contextlib.nullcontext():
        code, verdicts = run_checks(plugin, tasks, settings, options)
    outcomes = Counter({"passed": 0, "failed": 0, "skipped": 0})
    outcomes.update(verdict["outcome"] for verdict in verdicts.all)
    if verdicts.all:
        show({"verdicts": verdicts.all, "counts": dict(outcomes)}, [], as_json)
    # Pytest's exit codes.
    if code == pytest.ExitCode.TESTS_FAILED:
        raise click.ClickException(f"{outcomes['failed']} of {outcomes.total()} checks failed")
    if code == pytest.ExitCode.INTERRUPTED:
        raise click.Abort
    if code:
        raise UserError(f"no check was run: pytest ended with exit code {code}; see its options with `pytest --help`")
