"""``acrl check``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from benchmark.commands.options import json_option, show

if TYPE_CHECKING:
    from benchmark.conformance.verdicts import Verdict


@click.command()
@click.argument("plugin", required=False)
@click.option("--task", "tasks", multiple=True, help="Check methods on this task; may be repeated.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the method; may be repeated.")
@json_option
def check(plugin: str | None, tasks: Sequence[str], given: Sequence[str], as_json: bool) -> None:
    """Check that PLUGIN does what the benchmark relies on: a method, a task, or everything if left out.

    PLUGIN is an id, or the path of a Python file that registers methods or tasks. Methods are checked with small
    networks on R+L2, HC+O and BSS-3, which takes seconds a task, and minutes for everything. The exit code is 1 if a
    check fails.
    """
    from benchmark.conformance import check_plugin
    from benchmark.conformance.verdicts import OUTCOMES

    verdicts: list[Verdict] = []
    for verdict in check_plugin(plugin, tasks, _settings(given)):
        if not as_json:
            _show(verdict, verdicts[-1] if verdicts else None)
        verdicts.append(verdict)
    counts = {outcome: sum(one.outcome == outcome for one in verdicts) for outcome in OUTCOMES}
    document = {"verdicts": [one.model_dump() for one in verdicts], "counts": counts}
    show(document, [", ".join(f"{count} {outcome}" for outcome, count in counts.items())], as_json)
    if counts["fail"]:
        raise click.ClickException(f"{counts['fail']} of {len(verdicts)} checks failed")


def _show(verdict: Verdict, before: Verdict | None) -> None:
    """One line of the table, after a heading where it starts something new."""
    heading = verdict.subject if verdict.kind != "method" else f"{verdict.subject} on {verdict.task}"
    place = (verdict.subject, verdict.kind, verdict.task)
    if before is None or place != (before.subject, before.kind, before.task):
        click.echo(f"{heading}, {verdict.kind}")
    click.echo(f"  {verdict.outcome:14} {verdict.check:28} {verdict.message}".rstrip())


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Settings of the form ``name=value``, the value as in YAML.

    Raises:
        UserError: If one has another form.
    """
    import yaml

    from envs.errors import UserError

    settings = {}
    for one in given:
        name, equals, value = one.partition("=")
        try:
            settings[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--set {one}: '{value}' is not YAML; write NAME=VALUE") from error
        if not (name and equals):
            raise UserError(f"--set {one}: write NAME=VALUE")
    return settings
