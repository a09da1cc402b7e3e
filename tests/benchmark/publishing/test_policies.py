"""Trained policies as files: exported, carried elsewhere, loaded, evaluated, and refused where they do not fit."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import benchmark
from benchmark.records.config import Params
from benchmark.records.runs import Run
from benchmark.records.store import load_tensors, save_tensors
from benchmark.training.policies import find_policy
from envs import UserError, make_task
from envs.seeding import derive_seed
from tests.benchmark.command import acrl, files, refused, workplace
from tests.benchmark.conftest import SMOKE_METHODS, changed

SMOKE = ("--profile", "smoke", "--task", "R+L2")
NFW, FLOWPG = (Run("smoke", "R+L2", method, 0) for method in ("nfw", "flowpg"))
FLOW = Path("results/smoke/policies/flows/flowpg/R+L2.safetensors")


def policy_of(run: Run) -> Path:
    return run.policy(Path("results"))


def returns(folder: Path, path: Path, *options: str) -> list[float]:
    done = acrl(folder, "evaluate", path, "--episodes", "2", *options)
    assert done.code == 0, done.err
    return list(json.loads(done.out)["episodes"])


@pytest.fixture(scope="module")
def exported(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the smoke runs with their policies. To be read only."""
    folder = Path(shutil.copytree(smoke, tmp_path_factory.mktemp("exported") / "place"))
    done = acrl(folder, "export", *SMOKE, *(word for method in SMOKE_METHODS for word in ("--method", method)))
    assert (done.code, done.err) == (0, "")
    return folder


@pytest.fixture
def clone(exported: Path, tmp_path: Path) -> Path:
    """A folder with what is in git: runs, and policies, of which there are no checkpoints and no flows."""
    folder = workplace(tmp_path / "clone")
    for name in ("runs", "policies"):
        shutil.copytree(exported / "results/smoke" / name, folder / "results/smoke" / name)
    return folder


@pytest.mark.parametrize("method", SMOKE_METHODS)
def test_an_exported_policy_acts_as_the_one_in_the_checkpoint(exported: Path, clone: Path, method: str) -> None:
    run = Run("smoke", "R+L2", method, 0)
    path = run.path(Path("results"))
    expected = returns(exported, path)
    assert returns(clone, policy_of(run)) == returns(clone, path) == expected
    assert returns(clone, policy_of(run), "--seed", "1") != expected
    assert (clone / policy_of(run)).stat().st_size < (exported / run.checkpoint(Path("results"))).stat().st_size / 4


def test_the_same_runs_give_the_same_files(exported: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(exported, tmp_path / "again"))
    done = acrl(again, "export", *SMOKE, "--method", "flowpg", "--json")
    document = json.loads(done.out)
    names = [policy_of(FLOWPG).with_suffix(".md"), policy_of(FLOWPG), FLOW]
    assert sorted(document["paths"]) == sorted(map(str, names))
    assert document["megabytes"] == pytest.approx(sum((again / name).stat().st_size for name in names) / 1e6, abs=1e-3)
    assert files(again) == files(exported)


def test_a_policy_is_a_function_of_observations(clone: Path) -> None:
    policy = benchmark.load_policy(clone / policy_of(FLOWPG))
    total = 0.0
    env = gymnasium.make("acrl/R+L2-v0")
    obs, _ = env.reset(seed=derive_seed(0, "evaluate", 0))
    first, ended = obs, False
    while not ended:
        action = policy(obs)
        assert action.shape == (2,)
        obs, reward, terminated, truncated, _ = env.step(action)
        total, ended = total + float(reward), terminated or truncated
    env.close()
    assert total == pytest.approx(returns(clone, policy_of(FLOWPG))[0], abs=1e-4)
    np.testing.assert_allclose(policy(np.stack([first, obs]))[0], policy(first), rtol=1e-5)


def test_a_card_says_what_a_policy_is_and_how_to_use_it(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = (clone / policy_of(FLOWPG)).with_suffix(".md").read_text()
    result = json.loads((clone / FLOWPG.path(Path("results"))).read_text())
    valid = result["final_policy"]["violations"]["valid_share"]["1e-06"]
    assert "# flowpg on R+L2, seed 0" in card
    for fact in (
        make_task("R+L2").constraint.formula(),
        f"| return | {result['returns']['final']['mean']:.2f}, the mean of",
        f"| valid | {100 * valid:.0f}"[:12],
        f"| run key | `{result['run_key']}` |",
        "flowpg 1",
        f"torch {result['provenance']['versions']['torch']}",
        "`policies/flows/flowpg/R+L2.safetensors`, shared by all seeds",
    ):
        assert fact in card
    monkeypatch.chdir(clone)
    (command,) = re.findall(r"```sh\nacrl (.*)\n```", card)
    assert acrl(clone, *command.split()).code == 0
    (script,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    exec(script, {})


def test_what_does_not_fit_into_the_limit_is_not_written(smoke: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(smoke, tmp_path / "place"))
    said = refused(folder, "export", *SMOKE, "--method", "nfw", "--limit", "0.001")
    assert re.search(r"1 policies take 0\.\d MB, more than --limit 0.001: choose some with --task", said)


def test_runs_that_were_made_elsewhere_are_left_out(exported: Path, clone: Path) -> None:
    assert "export on the machine that made the runs" in refused(clone, "export", *SMOKE)
    checkpoint = NFW.checkpoint(Path("results"))
    (clone / checkpoint).parent.mkdir(parents=True)
    shutil.copy(exported / checkpoint, clone / checkpoint)
    done = acrl(clone, "export", *SMOKE, "--method", "nfw", "--method", "dpro")
    assert done.code == 0
    assert done.err == "warning: left out R+L2 dpro seed 0: no checkpoint\n"


def test_a_checkpoint_of_another_run_is_refused(params: Params, full: Path) -> None:
    results = full / "results"
    path = NFW.path(results)
    assert find_policy(path, params, results).evaluate(1, 3).step == 150
    with pytest.raises(UserError, match="steps is 149, was 150"):
        find_policy(path, changed(params, steps=149), results)
    with pytest.raises(UserError, match="name its folder with --results"):
        find_policy(path, params, full)
    shutil.copy(Run("smoke", "R+L2", "ddpg-penalty", 0).checkpoint(results), NFW.checkpoint(results))
    with pytest.raises(UserError, match="belongs to another run"):
        find_policy(path, params, results)


def test_an_exported_policy_of_another_run_is_refused(params: Params, clone: Path) -> None:
    results = clone / "results"
    shutil.copy(FLOWPG.policy(results), NFW.policy(results))
    with pytest.raises(UserError, match=r"nfw.* belongs to another run than .*nfw.*: export it again"):
        find_policy(NFW.path(results), params, results)


def test_a_policy_without_a_flow_may_lie_anywhere(clone: Path) -> None:
    # As few folders above it as can be written to.
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write((clone / policy_of(NFW)).read_bytes())
        file.flush()
        assert acrl(clone, "evaluate", file.name).code == 0


def test_files_that_are_no_policy_or_lack_a_part_are_refused(exported: Path, clone: Path) -> None:
    checkpoint = exported / NFW.checkpoint(Path("results"))
    assert "is not a policy that `acrl export` wrote" in refused(clone, "evaluate", checkpoint)
    assert "no such file" in refused(clone, "evaluate", "nowhere.safetensors")
    path = clone / policy_of(NFW)
    state, facts = load_tensors(path)
    save_tensors(path, state, facts | {"run_key": "0" * 64})
    assert "has another version of R+L2 or nfw than this package" in refused(clone, "evaluate", path)
    save_tensors(path, dict(list(state.items())[1:]), facts)
    assert "does not belong to method 'nfw'" in refused(clone, "evaluate", path)
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged" in refused(clone, "evaluate", path)

    flow, flow_facts = load_tensors(clone / FLOW)
    save_tensors(clone / FLOW, flow, flow_facts | {"key": "another"})
    assert "was made with other settings or versions: the policy acts" in refused(clone, "evaluate", policy_of(FLOWPG))
    (clone / FLOW).unlink()
    assert f"{FLOW.name} is missing: the policy acts through it" in refused(clone, "evaluate", policy_of(FLOWPG))
