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

from envs import UserError, list_tasks, make_task, register_task
from envs.errors import UnknownIdError
from tests.benchmark.command import ROOT, install

PLUGIN = """
import dataclasses
from envs import make_task, register_task

register_task(dataclasses.replace(make_task("R+L2"), id="My+Circle", source="elsewhere"))
"""


@pytest.mark.parametrize(("given", "nearest"), [("HC-O", "HC+O"), ("bss-3", "BSS-3"), ("R+O31", "R+O30")])
def test_an_unknown_id_names_the_nearest(given: str, nearest: str) -> None:
    with pytest.raises(UnknownIdError, match=r"^unknown task '[^\n]*': did you mean '[^\n]*$") as caught:
        make_task(given)
    assert f"'{given}': did you mean '{nearest}" in str(caught.value)


def test_a_duplicate_is_refused() -> None:
    with pytest.raises(UserError, match=r"task 'HC\+O' is registered twice"):
        register_task(dataclasses.replace(make_task("HC+O"), version=7))
    assert make_task("HC+O").version == 0
    assert "acrl/HC+O-v7" not in gymnasium.registry


@pytest.mark.parametrize("bad", ["two words", "a/b/c", "R*L2", "line\nbreak"])
def test_an_id_that_gymnasium_cannot_read_is_refused_and_leaves_nothing(bad: str) -> None:
    with pytest.raises(UserError, match="Gymnasium rejects the id"):
        register_task(dataclasses.replace(make_task("HC+O"), id=bad))
    assert bad not in list_tasks()


@pytest.mark.parametrize(
    ("env_id", "parts"),
    [
        ("acrl/HC+O-v0", ("acrl", "HC+O", 0)),
        ("ALE/Pong-v5", ("ALE", "Pong", 5)),
        ("my.Env_with-dash:x-v12", (None, "my.Env_with-dash:x", 12)),
        ("plain", (None, "plain", None)),
    ],
)
def test_ids_are_read_as_before(env_id: str, parts: tuple[str | None, str, int | None]) -> None:
    assert registration.parse_env_id(env_id) == parts


def test_gymnasium_names_what_there_is_not() -> None:
    with pytest.raises(gymnasium.error.NameNotFound, match="HC"):
        gymnasium.make("acrl/HC+X-v0")
    with pytest.raises(gymnasium.error.VersionNotFound):
        gymnasium.make("acrl/HC+O-v1")


# --- fingerprints ---------------------------------------------------------------------------------------------


def test_fingerprints_are_plain_and_distinct() -> None:
    # By content, not by id alone.
    unnamed = [{**make_task(task).fingerprint(), "id": ""} for task in list_tasks()]
    written = {json.dumps(entry, sort_keys=True, allow_nan=False) for entry in unnamed}
    assert len(written) == len(unnamed)


def test_a_fingerprint_holds_what_bears_on_results_and_nothing_else() -> None:
    task = make_task("HC+O")
    found = dataclasses.replace(task, source="x", notes="y", steps=1).fingerprint()
    expected = {"class": "WeightedL1", "bound": 20.0, "lower": [-1.0] * 6, "upper": [1.0] * 6}
    assert found.pop("constraint") == expected | {"context_indices": [11, 12, 13, 14, 15, 16]}
    facts = {"id": "HC+O", "version": 0, "env_id": "HalfCheetah-v5", "env_kwargs": {}, "max_episode_steps": 1000}
    assert found == facts


def test_a_parameter_that_is_no_data_is_refused() -> None:
    with pytest.raises(UserError, match="type builtin_function"):
        dataclasses.replace(make_task("BSS-3"), env_kwargs={"callback": print}).fingerprint()


# --- tasks of other packages ----------------------------------------------------------------------------------


def run_python(folder: Path, code: str) -> list[str]:
    """Lines that ``code`` prints in a fresh interpreter that has the packages in ``folder / "site"`` installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.splitlines()


def test_a_task_of_another_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    install(tmp_path, "acrl.tasks", "circles", PLUGIN)
    # The other package is imported first.
    code = """
import circles, envs, gymnasium
print(envs.list_tasks()[-1], envs.make_task("My+Circle").source)
print(gymnasium.make("acrl/My+Circle-v0").action_space.shape)
"""
    assert run_python(tmp_path, code) == ["My+Circle elsewhere", "(2,)"]


@pytest.mark.parametrize(
    "sources",
    [
        {
            "import no_such_module": "No module named 'no_such_module'",
            'raise RuntimeError("two\\nlines")': "RuntimeError: two lines",
        },
        {PLUGIN.replace("My+Circle", "HC+O"): "task 'HC+O' is registered twice"},
    ],
)
def test_broken_packages_give_one_line_that_names_them(tmp_path: Path, sources: dict[str, str]) -> None:
    for number, source in enumerate(sources):
        install(tmp_path, "acrl.tasks", f"broken{number}", source)
    code = """
import envs, gymnasium
gymnasium.make("acrl/HC+O-v0").close()
for ask in (envs.list_tasks, lambda: envs.make_task("HC+O")):
    try:
        ask()
    except envs.UserError as error:
        print(error)
"""
    lines = run_python(tmp_path, code)
    assert len(lines) == 2
    for number, cause in enumerate(sources.values()):
        assert all(f"'broken{number}' (broken{number})" in line and cause in line for line in lines)


@pytest.mark.parametrize("backend", ["nonsense", "osmesa", "egl"])
def test_who_draws_nothing_needs_no_backend_for_drawing(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", backend)
    code = """
import envs, os
env = envs.make_task("HC+O").make_env()
env.reset(seed=0)
print(len(env.step(env.action_space.sample())), os.environ["MUJOCO_GL"])
"""
    assert run_python(tmp_path, code) == [f"5 {backend}"]
