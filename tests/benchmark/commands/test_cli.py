"""The command line at work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.shell_completion import BashComplete

from benchmark.cli import PROGRAM, VARIABLE, cli
from benchmark.experiments.sampling import draw_states
from benchmark.records.files import file_lock
from benchmark.records.results import read_run
from envs import list_tasks, make_task
from methods import list_methods
from tests.benchmark.command import Done, acrl, files, finish, start, workplace
from tests.benchmark.conftest import SMOKE_METHODS

RUN = "results/smoke/runs/R+L2/{}/seed-0.json"


def test_list_names_everything(tmp_path: Path) -> None:
    done = acrl(workplace(tmp_path), "list")
    assert done.code == 0
    for name in (*list_tasks(), *list_methods(), "smoke", "quick", "paper"):
        assert f"\n  {name} " in done.out


def test_list_without_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.records.yaml.PARAMS", Path("absent.yaml"))
    done = acrl(tmp_path, "list")
    assert (done.code, done.err) == (0, "")
    assert "\n  R+L2 " in done.out
    assert "no params.yaml" in done.out.splitlines()[-1]


@pytest.mark.parametrize("group", [(), ("new",)])
def test_help_is_printed_as_it_is_with_whole_summaries(tmp_path: Path, group: tuple[str, ...]) -> None:
    alone, asked = acrl(tmp_path, *group), acrl(tmp_path, *group, "--help")
    assert (alone, asked.code) == (Done(2, "", asked.out), 0)
    assert asked.out.count("...") == 1  # Of the usage.
    headings = re.findall(r"^(\w+):$", asked.out, flags=re.MULTILINE)
    assert headings == ["Options", *(["Commands"] if group else ["Run", "Look", "Extend", "Share"])]
    assert {name for command in cli.headings.values() for name in command} == set(cli.commands.values())


def test_a_complete_run_is_left_alone_unless_it_is_forced(full: Path) -> None:
    before, arguments = files(full), ("run", "R+L2", "nfw", "-p", "smoke")
    done = acrl(full, *arguments)
    assert (done.code, done.out) == (0, RUN.format("nfw") + "\n")
    assert done.err == f"{done.out.strip()} is complete: --force makes it again, --out puts it elsewhere\n"
    assert files(full) == before
    assert acrl(full, *arguments, "--force") == done._replace(err="")
    assert files(full)[RUN.format("nfw")] != before[RUN.format("nfw")]
    for out, path in (("mine.json", "mine.json"), ("new", "new/R+L2/nfw/seed-0.json")):
        assert acrl(full, *arguments, "--out", out).out.strip() == path
        assert read_run(full / path).returns == read_run(full / RUN.format("nfw")).returns
    other = acrl(full, *arguments, "--set", "alpha=0.5", "--out", "mine.json")
    assert (other.code, other.err.partition("0.5")[0]) == (2, "error: mine.json holds another result (method.alpha is ")


def test_settings_for_one_run_make_none_of_the_profile(full: Path) -> None:
    before = files(full)
    given = ("--set", "flow.updates=61", "--steps", "60")
    done = acrl(full, "run", "R+L2", "flowpg", "-p", "smoke", *given, "--json")
    document = json.loads(done.out)
    made, usual = read_run(full / document["path"]), read_run(full / RUN.format("flowpg"))
    assert (made.config["steps"], made.config["method"]["flow"]["updates"]) == (60, 61)
    assert made.provenance.given == ["--set=flow.updates=61", "--steps=60"]
    assert made.run_key not in (usual.run_key, "")
    assert before.items() <= files(full).items()
    assert f"{len(SMOKE_METHODS)} complete" in acrl(full, "status", "-p", "smoke").out
    assert acrl(full, "evaluate", document["path"]).code == 0
    shutil.copy(full / document["path"], full / RUN.format("flowpg"))
    for command in ("tables", "track"):
        refused = acrl(full, command, "-p", "smoke")
        assert refused.code == 2
        assert "was made with --set=flow.updates=61 --steps=60 and is no run of the profile" in refused.err


def test_who_waits_for_the_same_run_says_so_and_for_whom(tmp_path: Path) -> None:
    folder = workplace(tmp_path)
    with file_lock(folder / "results/smoke/unfinished/runs/R+L2/nfw/seed-0.safetensors"):
        process = start(folder, "run", "R+L2", "nfw", "-p", "smoke")
        assert process.stderr is not None
        said = process.stderr.readline()
    assert said.startswith(f"waiting for process {os.getpid()} on ")
    assert said.endswith(", which makes R+L2 nfw seed 0\n")
    assert finish(process).code == 0


# A learner with a flow, and one behind a head.
@pytest.mark.parametrize("method", ["flowpg", "dpro"])
def test_evaluate_runs_the_last_policy(smoke: Path, method: str) -> None:
    first, again, other = (
        acrl(smoke, "evaluate", RUN.format(method), "--episodes", "2", "--seed", seed) for seed in ("0", "0", "1")
    )
    evaluation = json.loads(first.out)
    assert len(evaluation["episodes"]) == 2
    assert first == again
    assert json.loads(other.out)["episodes"] != evaluation["episodes"]


def test_status_tells_complete_missing_and_stale(full: Path) -> None:
    lines = acrl(full, "status", "--profile", "smoke").out.splitlines()
    # Returns are measured by six runs more: random actions and none on two tasks, and two tasks without the constraint.
    assert lines[0] == f"profile smoke: {len(SMOKE_METHODS)} complete, {len(SMOKE_METHODS) + 6} missing"
    assert lines[2].split() == ["complete", "R+L2", "BSS-3", "R+N", "BSS-3+N"]
    table = {line.split()[0]: line.split()[1:] for line in lines[4:]}
    assert all(table[method] == ["1/1", "0/1"] for method in SMOKE_METHODS)
    assert table["hold"] == ["0/1", "0/1"]
    params = (full / "params.yaml").read_text()
    (full / "params.yaml").write_text(params.replace("steps: 150", "steps: 160"))
    done = acrl(full, "status", "--profile", "smoke", "--task", "R+L2")
    assert done.out.splitlines()[0] == f"profile smoke: 2 missing, {len(SMOKE_METHODS)} stale"
    assert "stale (steps is 160, was 150)" in done.out
    for task in ([], ["--task", "R+L2"]):
        assert f"today's: {len(SMOKE_METHODS)} runs of" in acrl(full, "leaderboard", "-p", "smoke", *task).out


def test_the_leaderboard_is_printed_of_all_tasks_or_of_one(smoke: Path) -> None:
    returns = read_run(smoke / RUN.format("nfw")).returns
    assert returns is not None
    one = acrl(smoke, "leaderboard", "-p", "smoke", "--task", "R+L2").out
    assert re.search(rf"^nfw +1/1 +{returns.final.mean:.1f}", one, re.MULTILINE)
    whole = acrl(smoke, "leaderboard", "-p", "smoke")
    assert re.search(r"^nfw +1/1 ", whole.out, re.MULTILINE)
    assert whole.out.startswith("Profile smoke (too short to rank methods by), ")
    for out in (one, whole.out):
        assert re.search(r"^R\+L2 has no scores: .*random-feasible", out, re.MULTILINE)
    assert "--task R+L2" in whole.out.splitlines()[-1]
    other = acrl(smoke, "leaderboard", "-p", "smoke", "--task", "HC+O")
    assert (other.code, other.err) == (2, "error: profile 'smoke' has no task 'HC+O'; it has R+L2, BSS-3\n")


def test_status_tells_flows_of_other_settings(full: Path) -> None:
    assert acrl(full, "flows", "R+L2", "--profile", "smoke", "--method", "flowpg").code == 0

    def states() -> set[str]:
        return set(acrl(full, "status", "--profile", "smoke", "--flows").out.splitlines())

    assert {f"R+L2     {'flowpg':20} complete", f"BSS-3    {'flowpg':20} missing"} <= states()
    params = (full / "params.yaml").read_text()
    (full / "params.yaml").write_text(params.replace("updates: 60", "updates: 61"))
    assert f"R+L2     {'flowpg':20} stale" in states()
    assert "1 flows are of other versions or settings" in acrl(full, "tables", "--profile", "smoke").err


def test_what_a_write_that_was_cut_left_behind_is_no_result(full: Path) -> None:
    (full / RUN.format("nfw")).with_name(".seed-0.json.x1y2z3").write_text('{"schema_ver')
    assert acrl(full, "status", "--profile", "smoke").code == 0
    (full / RUN.format("nfw")).unlink()
    assert f"{len(SMOKE_METHODS) - 1} complete" in acrl(full, "status", "--profile", "smoke").out


COMMON = {"task", "sampler", "seed", "states", "samples", "seconds", "samples_per_second", "proposals", "acceptance"}
OWN = {
    "rejection": set(),
    "hmc": {"ess", "ess_per_second", "rhat", "step_size", "jump_acceptance"},
    "psdd": {"models", "nodes", "compile_seconds"},
}


def drawn(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """The JSON that ``acrl sample`` prints with these arguments."""
    done = acrl(folder, "sample", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    report: dict[str, Any] = json.loads(done.out)
    return report


@pytest.mark.parametrize(("task_id", "sampler"), [("R+L2", "hmc"), ("HC+O", "rejection"), ("BSS-5", "psdd")])
def test_report_and_file(tmp_path: Path, task_id: str, sampler: str) -> None:
    arguments = (task_id, "--sampler", sampler, "--n", "2050", "--seed", "3", "--out", "new/actions.npy")
    report = drawn(tmp_path, *arguments)
    assert {name for name, value in report.items() if value is not None} == COMMON | OWN[sampler]
    assert (report["task"], report["sampler"], report["seed"], report["samples"]) == (task_id, sampler, 3, 2050)
    assert report["samples_per_second"] == pytest.approx(2050 / report["seconds"])
    assert 0 < report["acceptance"] <= 1

    task, content = make_task(task_id), files(tmp_path)
    actions = torch.from_numpy(np.load(tmp_path / "new/actions.npy"))
    assert actions.shape == (2050, task.constraint.dim)
    states = draw_states(task, 2050, seed=3)
    assert report["states"] == (len(states) if task_id == "HC+O" else 1)
    assert task.constraint.contains(actions, states[torch.arange(2050) % len(states)]).all()

    drawn(tmp_path, *arguments)
    assert files(tmp_path) == content
    drawn(tmp_path, *arguments, "--seed", "4")
    assert files(tmp_path) != content


def offered(*words: str) -> list[str]:
    """What is offered for the last of the words after ``acrl``."""
    completer = BashComplete(cli, {}, PROGRAM, VARIABLE)
    return [item.value for item in completer.get_completions(list(words[:-1]), words[-1])]


def test_ids_are_offered() -> None:
    assert offered("run", "") == list_tasks()
    assert offered("run", "HC+O", "") == list_methods()
    assert offered("experiment", "n") == ["n1", "n2", "n3"]
    assert offered("sample", "R+L2", "--sampler", "h") == ["hmc"]


def test_profiles_are_offered_unless_settings_are_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace(tmp_path))
    assert offered("tables", "-p", "s") == ["smoke", "small", "survey"]
    (tmp_path / "params.yaml").write_text("profiles: [")
    assert offered("tables", "-p", "") == []


def test_bash_takes_the_script_and_the_program_answers_it(tmp_path: Path) -> None:
    script = acrl(tmp_path, "completion", "bash").out + "\ncomplete -p acrl\n"
    shell = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True)
    assert "-F _acrl_completion acrl" in shell.stdout
    # What that function asks when "acrl run BSS-3" is completed.
    question = {VARIABLE: "bash_complete", "COMP_WORDS": "acrl run BSS-3", "COMP_CWORD": "2"}
    assert finish(start(tmp_path, **question)) == Done(0, "plain,BSS-3\nplain,BSS-3+N\n", "")
