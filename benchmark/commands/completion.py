"""``acrl completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from benchmark.commands.output import json_option, show

PROGRAM, VARIABLE = "acrl", "_ACRL_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
@json_option
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Print the script that makes SHELL complete commands, options, and the ids of tasks, methods and profiles.

    For this session: eval "$(acrl completion bash)"; docs/command-line.md says how to keep it.
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, PROGRAM, VARIABLE).source()
    show({"shell": shell, "script": script}, [script], as_json)
