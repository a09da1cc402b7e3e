"""``acrl check`` at work."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from benchmark.conformance.plugins import METHOD_TASKS, select
from envs import list_tasks, make_task
from envs.errors import NoSampleError
from envs.sampling.dataset import draw_dataset, embed
from methods import list_methods
from tests.benchmark.command import ROOT, acrl, refused

pytestmark = pytest.mark.usefixtures("registries")


def write(folder: Path, name: str, action: str) -> None:
    """A method that conforms but for its actions."""
    acrl(folder, "new", "method", name)
    path = folder / f"{name}.py"
    source = path.read_text().replace("import Tensor\n", "import Tensor, rand\n")
    path.write_text(source.replace("self.task.constraint.sample(obs, self.generator)", action))


def test_a_file_is_checked_by_pytest(tmp_path: Path) -> None:
    write(tmp_path, "shared", "self.task.constraint.sample(obs, self.generator) + 0.0 * rand(1)")
    done = acrl(tmp_path, "check", "shared.py", "--task", "R+L2")
    assert (done.code, done.err) == (1, "error: 1 of 17 checks failed\n")
    assert "1 failed, 15 passed, 1 skipped in" in done.out
    assert "AssertionError: act, observe or update used the global generator of torch; draw from" in done.out

    again = acrl(tmp_path, "check", "shared", "--task", "R+L2", "--json", "--", "-k", "not state")
    assert again.code == 1
    document = json.loads(again.out)
    assert document["counts"] == {"passed": 12, "failed": 1, "skipped": 1}
    found = {verdict["check"]: verdict for verdict in document["verdicts"]}
    assert found["test_global_generators_untouched"]["outcome"] == "failed"
    assert found["test_losses_finite"]["message"] == "update returned no losses in 32 steps"
    assert found["test_same_seed"]["subject"] == "shared-R+L2"


def test_a_mistake_that_breaks_everything_is_one_failure(tmp_path: Path) -> None:
    write(tmp_path, "raises", "1 / 0")
    done = acrl(tmp_path, "check", "raises.py", "--json")
    assert (done.code, done.err) == (
        1,
        "error: 1 of 51 checks failed; 50 others were skipped because of the same mistakes\n",
    )
    first, *others = json.loads(done.out)["verdicts"]
    assert (first["outcome"], first["message"][:43]) == ("failed", "ZeroDivisionError: division by zero (raises")
    see = f"see {first['check']}[{first['subject']}]"
    assert {(verdict["outcome"], verdict["message"]) for verdict in others} == {("skipped", see)}


def test_a_mistake_in_a_state_is_shown_once(tmp_path: Path) -> None:
    write(tmp_path, "forgets", "self.task.constraint.sample(obs, self.generator)")
    path = tmp_path / "forgets.py"
    path.write_text(path.read_text().replace('self.generator.set_state(state["generator"])', "1 / 0"))
    verdicts = json.loads(acrl(tmp_path, "check", "forgets.py", "--json").out)["verdicts"]
    assert [verdict["check"] for verdict in verdicts if verdict["outcome"] == "failed"] == ["test_checkpoint_resumes"]


def test_every_method_is_tried_on_a_task_of_ones_own(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("pendulum.py"), tmp_path)
    done = acrl(tmp_path, "check", "pendulum.py")
    told = dict(line.split(maxsplit=1) for line in done.out.partition("Methods on this task:\n")[2].splitlines())
    assert (done.code, set(told)) == (0, {f"Pendulum+Limit-{method}" for method in list_methods()})
    for method in ("ddpg-projection-layer", "dopt", "dopt+"):
        why = told.pop(f"Pendulum+Limit-{method}")
        assert "the projection of TorqueLimit has no gradient" in why
    assert set(told.values()) == {"applies"}


def test_flows_are_trained_where_the_set_is_not_empty(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("pendulum.py"), tmp_path)
    assert select(tmp_path / "pendulum.py").tasks == ["Pendulum+Limit"]
    task = make_task("Pendulum+Limit")
    samples = draw_dataset(task, 600, 10, 300, seed=0)
    context, action = samples["train_context"], samples["train_action"]
    assert task.constraint.contains(action, embed(task.constraint, context), 1e-6).all()
    # Widened ones are kept where there are any.
    visited, widened = (part.abs().max() for part in context.split(300))
    assert visited < widened < 2.0 / 0.22
    closed = dataclasses.replace(task, constraint=type(task.constraint)(-1.0, 0.0))  # type: ignore[call-arg]
    with pytest.raises(NoSampleError, match="empty or very small set"):
        draw_dataset(closed, 4, 4, 2, seed=0)


def test_a_method_for_convex_sets_is_not_checked_on_others(tmp_path: Path) -> None:
    document = json.loads(acrl(tmp_path, "check", "nfw", "--task", "R+Ring", "--json").out)
    assert document["counts"] == {"passed": 0, "failed": 0, "skipped": 17}


def test_settings_reach_the_method(tmp_path: Path) -> None:
    arguments = ("--task", "R+N", "--set", "warmup=100000", "--json", "--", "-k", "losses")
    done = acrl(tmp_path, "check", "ddpg-projection", *arguments)
    assert done.code == 0
    (verdict,) = json.loads(done.out)["verdicts"]
    assert verdict["message"] == "update returned no losses in 32 steps"


def test_a_name_or_a_file_stands_for_what_it_registers() -> None:
    every = select(None)
    assert (list(every.methods), every.tasks) == (list_methods(), list_tasks())
    assert every.method_tasks == [*METHOD_TASKS]
    for plugin in ("nfw", ROOT / "methods" / "nfw.py"):
        found = select(plugin, ["R+T"])
        assert (list(found.methods), found.tasks, found.method_tasks) == (["nfw"], [], ["R+T"])
    assert (dict(select("H+M").methods), select("H+M").tasks) == ({}, ["H+M"])
    assert select(ROOT / "envs" / "constraints" / "discs.py").tasks == ["R+2D"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nfv"], "unknown method or task 'nfv': did you mean 'nfw'?"),
        (["nfw", "--set", "alhpa=1"], "setting 'alhpa'"),
        (["R+L2", "--set", "a=1"], "'R+L2' is a task: leave them out"),
        (["nfw", "--set", "alpha"], "write NAME=VALUE"),
        (["nfw", "--set", "alpha=[1"], "is not YAML"),
        (["nfw", "--set", "alpha=1", "--set", "alpha=2"], "each name once"),
        (["nfw", "--set", "alpha=on"], "should be a valid number"),
        (["missing.py"], "no such file"),
        (["empty.py"], "registers no method and no task"),
        (["raises.py"], "raises.py cannot be imported: ZeroDivisionError"),
        (["taken.py"], "method 'nfw' is registered twice"),
        (["bare.py"], "method 'bare' has no Config; give it one that inherits from MethodConfig"),
        (["json.py"], "a module 'json' is imported already; rename json.py"),
        (["R+N", "--json", "--", "-k", "nothing", "-p", "no:cacheprovider"], "no check ran"),
    ],
)
def test_a_users_error_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    taken = "from methods.base import register_method\n@register_method('nfw')\nclass Mine: pass\n"
    (tmp_path / "taken.py").write_text(taken)
    (tmp_path / "bare.py").write_text(taken.replace("nfw", "bare"))
    assert message in refused(tmp_path, "check", *arguments)
