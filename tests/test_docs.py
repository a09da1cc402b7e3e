"""What the README and the pages of the documentation show is run, and what they name is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from benchmark.cli import cli
from tests.pages import LANGUAGES, NOT_RUN, PAGES, ROOT, blocks, commands, is_run, make_folder

# Bounds what a command that hangs may cost.
SECONDS = 900
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def inline(page: Path, kind: str) -> list[Token]:
    """Tokens of one kind in the text of a page, outside of its blocks of code."""
    outer = MarkdownIt().enable("table").parse(page.read_text())
    return [token for block in outer for token in block.children or [] if token.type == kind]


def shown_commands(page: Path) -> list[str]:
    """Every command of a page, in blocks and in running text."""
    lines = [command for block in blocks(page) if block.language == "sh" for command in commands(block)]
    return [*lines, *(" ".join(token.content.split()) for token in inline(page, "code_inline"))]


def follow(page: Path, folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    """Run a page in a folder; stdout and stderr together."""
    variables = make_folder(folder, address)
    return subprocess.run(
        [folder / ".venv/bin/page", page],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_run, blocks(page)))], ids=lambda page: page.name)
def test_what_a_page_shows_runs(page: Path, tmp_path: Path, address: str) -> None:
    done = follow(page, tmp_path, address)
    assert done.returncode == 0, done.stdout[-4000:]


def test_blocks_of_a_page_share_names_files_and_their_order(tmp_path: Path, address: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```toml title="sub/a.toml"\nx = 1\n```\n'
        "```python\nfrom pathlib import Path\n\nread = Path('sub/a.toml').read_text()\n```\n"
        "```sh\nmake test\necho more >> sub/a.toml\n```\n"
        "```python\nassert read == 'x = 1\\n'\nassert Path('sub/a.toml').read_text() == read + 'more\\n'\n```\n"
    )
    done = follow(page, tmp_path, address)
    assert done.returncode == 0, done.stdout
    # A page that does not work is found, a command that fails before a pipe and an indented block included.
    with page.open("a") as file:
        file.write("```sh\nfalse | true\n```\n")
    assert follow(page, tmp_path, address).returncode == 1
    page.write_text("- a list\n\n  ```python\n  undefined\n  ```\n")
    assert follow(page, tmp_path, address).returncode == 1


@EVERY_PAGE
def test_every_block_has_a_language_that_is_known_here_and_data_can_be_read(page: Path) -> None:
    read = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page.name}, line {block.line}: '{block.language}'"
        assert read.get(block.language, str)(block.text), f"{page.name}, line {block.line}"


def test_commands_that_are_not_run_are_on_a_page_and_run_where_it_says() -> None:
    shown = {command for page in PAGES for block in blocks(page) for command in commands(block)}
    assert set(NOT_RUN) <= shown
    assert [file for file in NOT_RUN.values() if file and not (ROOT / "tests" / file).exists()] == []


@EVERY_PAGE
def test_commands_in_the_text_have_their_subcommands_and_options(page: Path) -> None:
    for shown in shown_commands(page):
        if not re.match(r"acrl [a-z]", shown):
            continue
        command: click.Command = cli
        # What comes after a bar or a double dash is another program's.
        words = shlex.split(re.split(r" \| | -- ", shown)[0])[1:]
        while isinstance(command, click.Group) and words:
            name = words.pop(0)
            assert name in command.commands, f"'{shown}': there is no '{name}'"
            command = command.commands[name]
        known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
        options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known, shown


@EVERY_PAGE
def test_what_the_text_leads_to_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for shown in shown_commands(page):
        if made := re.match(r"make ([a-z-]+)", shown):
            assert made[1] in targets, shown
        if named := re.match(r"python (?:-m )?benchmarks[./](\w+)", shown):
            assert (ROOT / "benchmarks" / f"{named[1]}.py").exists(), shown
    for link in inline(page, "link_open"):
        target = str(link.attrs["href"]).split("#")[0]
        if target and ":" not in target:
            assert (page.parent / target).exists(), target
