"""The registry: unknown and duplicate ids, Gymnasium's grammar, fingerprints, tasks of other packages."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
from gymnasium.envs import registration
from gymnasium.utils.env_checker import check_env

import envs
from envs import TaskSpec, UserError, list_tasks, make_task, register_task
from envs.errors import UnknownIdError

REPOSITORY = Path(envs.__file__).parents[1]

PLUGIN = """
import dataclasses
from envs import make_task, register_task

register_task(dataclasses.replace(make_task("R+L2"), id="My+Circle", source="elsewhere"))
"""


def test_tasks_are_listed_in_table_order() -> None:
    assert list_tasks() == [
        *("R+L2", "HC+O", "H+M", "W+M", "BSS-3", "BSS-5"),
        *("R+N", "R+O03", "R+O10", "R+O30", "R+M"),
        *("R+T", "HC+MA", "H+O+S", "W+O+S", "An+L2"),
        *("HC+N", "H+N", "W+N", "An+N", "BSS-3+N", "BSS-5+N", "R+Ring", "R+2D"),
    ]


@pytest.mark.parametrize(("given", "nearest"), [("HC+0", "HC+O"), ("bss-3", "BSS-3"), ("R+O31", "R+O30"), ("", "")])
def test_an_unknown_id_names_the_nearest(given: str, nearest: str) -> None:
    with pytest.raises(UnknownIdError) as caught:
        make_task(given)
    message = str(caught.value)
    assert f"unknown task '{given}'" in message
    assert f"did you mean '{nearest}" in message
    assert "\n" not in message


def test_a_duplicate_is_refused() -> None:
    with pytest.raises(UserError, match=r"task 'HC\+O' is registered twice"):
        register_task(dataclasses.replace(make_task("HC+O"), version=7))
    assert make_task("HC+O").version == 0
    assert "acrl/HC+O-v7" not in gymnasium.registry


@pytest.mark.parametrize("bad", ["two words", "a/b/c", "R*L2", "über/x", "line\nbreak"])
def test_an_id_that_gymnasium_cannot_read_is_refused_and_leaves_nothing(bad: str) -> None:
    with pytest.raises(UserError, match="Gymnasium refuses the id"):
        register_task(dataclasses.replace(make_task("HC+O"), id=bad))
    assert bad not in list_tasks()


# --- Gymnasium's grammar, widened by "+" ------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", list_tasks())
def test_gymnasium_finds_every_task(task_id: str) -> None:
    task = make_task(task_id)
    assert task.gym_id == f"acrl/{task_id}-v0"
    assert gymnasium.spec(task.gym_id).max_episode_steps == task.max_episode_steps
    env = task.make_env()
    assert env.spec is not None
    assert env.spec.id == task.gym_id
    again = gymnasium.make(gymnasium.spec(task.gym_id))
    assert again.action_space == env.action_space
    env.close()
    again.close()


@pytest.mark.parametrize(
    ("env_id", "parts"),
    [
        ("CartPole-v1", (None, "CartPole", 1)),
        ("acrl/HC+O-v0", ("acrl", "HC+O", 0)),
        ("ALE/Pong-v5", ("ALE", "Pong", 5)),
        ("my.Env_with-dash:x-v12", (None, "my.Env_with-dash:x", 12)),
        ("plain", (None, "plain", None)),
    ],
)
def test_ids_are_read_as_before(env_id: str, parts: tuple[str | None, str, int | None]) -> None:
    assert registration.parse_env_id(env_id) == parts


@pytest.mark.filterwarnings("ignore:.*Box .* space:UserWarning")
def test_others_may_register_and_make_as_before() -> None:
    gymnasium.register(id="Plain-v3", entry_point="gymnasium.envs.classic_control.pendulum:PendulumEnv")
    env = gymnasium.make("Plain-v3")
    check_env(env.unwrapped, skip_render_check=True)
    env.close()
    with pytest.raises(gymnasium.error.NameNotFound, match="HC"):
        gymnasium.make("acrl/HC+X-v0")
    with pytest.raises(gymnasium.error.VersionNotFound):
        gymnasium.make("acrl/HC+O-v1")


def test_a_vector_environment_of_a_task() -> None:
    vector = gymnasium.make_vec("acrl/R+L2-v0", num_envs=2, vectorization_mode="sync")
    observation, _ = vector.reset(seed=1)
    assert observation.shape == (2, 10)
    vector.close()


# --- fingerprints ---------------------------------------------------------------------------------------------


def test_fingerprints_are_plain_and_distinct() -> None:
    written = [json.dumps(make_task(t).fingerprint(), sort_keys=True, allow_nan=False) for t in list_tasks()]
    assert len(set(written)) == len(written)
    # Distinct by content as well, not by id alone.
    unnamed = [json.dumps({**make_task(t).fingerprint(), "id": ""}, sort_keys=True) for t in list_tasks()]
    assert len(set(unnamed)) == len(unnamed)


def test_a_fingerprint_holds_the_constraint() -> None:
    task = make_task("HC+O")
    expected = {"class": "WeightedL1", "bound": 20.0, "lower": [-1.0] * 6, "upper": [1.0] * 6}
    found = task.fingerprint()
    assert expected.items() <= found["constraint"].items()
    assert found["constraint"]["context_indices"] == [11, 12, 13, 14, 15, 16]
    assert {**found, "constraint": None} == {
        "id": "HC+O",
        "version": 0,
        "env_id": "HalfCheetah-v5",
        "env_kwargs": {},
        "max_episode_steps": 1000,
        "constraint": None,
    }


def test_a_fingerprint_changes_with_what_bears_on_results_and_with_nothing_else() -> None:
    task = make_task("BSS-3")
    base = task.fingerprint()
    assert dataclasses.replace(task, source="x", notes="y", steps=1).fingerprint() == base
    changes: list[TaskSpec] = [
        dataclasses.replace(task, version=1),
        dataclasses.replace(task, env_kwargs={"zones": 5}),
        dataclasses.replace(task, max_episode_steps=50),
        dataclasses.replace(task, constraint=make_task("BSS-5").constraint),
    ]
    assert all(changed.fingerprint() != base for changed in changes)


def test_a_parameter_that_is_no_data_is_refused() -> None:
    with pytest.raises(UserError, match="type function"):
        dataclasses.replace(make_task("BSS-3"), env_kwargs={"callback": print_nothing}).fingerprint()


def print_nothing() -> None:
    """A stand-in for what no run key can be made of."""


# --- tasks of other packages ----------------------------------------------------------------------------------


def install(site: Path, name: str, source: str) -> None:
    """What a package manager leaves behind for a package with one module and one entry point."""
    (site / f"{name}.py").write_text(source)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[acrl.tasks]\n{name}-tasks = {name}\n")


def run_python(site: Path, code: str) -> str:
    """Standard output of ``code`` in a fresh interpreter that has ``site`` on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY)])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=site, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_a_task_of_another_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    install(tmp_path, "circles", PLUGIN)
    shown = run_python(
        tmp_path,
        "import envs, gymnasium; print(envs.list_tasks()[-1], envs.make_task('My+Circle').source);"
        "print(gymnasium.make('acrl/My+Circle-v0').action_space.shape)",
    )
    assert shown.split("\n")[:2] == ["My+Circle elsewhere", "(2,)"]
    # Also where the other package is what is imported first.
    assert run_python(tmp_path, "import circles, envs; print(envs.list_tasks()[-1])").strip() == "My+Circle"


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ('raise RuntimeError("two\\nlines")', "RuntimeError: two lines"),
        (PLUGIN.replace("My+Circle", "HC+O"), "task 'HC+O' is registered twice"),
    ],
)
def test_a_broken_package_gives_one_line_that_names_it(tmp_path: Path, source: str, cause: str) -> None:
    install(tmp_path, "broken", source)
    code = """
import envs, gymnasium
gymnasium.make("acrl/HC+O-v0").close()
for ask in (envs.list_tasks, lambda: envs.make_task("HC+O")):
    try:
        ask()
    except envs.UserError as error:
        print(error)
"""
    lines = run_python(tmp_path, code).splitlines()
    assert len(lines) == 2
    assert all("'broken-tasks' (broken)" in line and cause in line for line in lines)
