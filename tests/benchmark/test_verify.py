"""Verification: what honest runs pass and what tampering is caught by."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import Params, RunConfig, load_params
from benchmark.harness import train
from benchmark.results import RunResult, digest, read_run
from benchmark.runs import Run, execute, record_failure
from benchmark.submission.archive import pack, unpack
from benchmark.submission.manifest import MANIFEST
from benchmark.verification import rerun
from benchmark.verification.consistency import problems
from benchmark.verification.report import Verification
from envs.registry import make_task
from tests.benchmark.command import PARAMS, Done, acrl

RUN = "results/smoke/runs/R+L2/nfw/seed-0.json"
Data = dict[str, Any]


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(PARAMS)


@pytest.fixture
def folder(nfw_runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nfw_runs, tmp_path / "copy"))


@pytest.fixture
def packed(folder: Path) -> Path:
    assert acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip").code == 0
    return folder / "nfw.zip"


def forge(path: Path, change: Callable[[Data], object]) -> None:
    """Change a run's JSON as one would who knows of the digest."""
    data = json.loads(path.read_text())
    change(data)
    data["provenance"]["sha256"] = digest(data)
    path.write_text(json.dumps(data))


def verify(folder: Path, *arguments: str | Path) -> tuple[Done, Verification]:
    done = acrl(folder, "verify", *arguments, "--json")
    assert done.err == ""
    return done, Verification.model_validate_json(done.out)


def said(verification: Verification, level: str) -> list[str]:
    return [f"{one.check}: {one.message}" for one in verification.findings if one.level == level]


def numbers_shifted(data: Data, where: str) -> None:
    evaluation = functools.reduce(lambda part, key: part[int(key) if key.isdigit() else key], where.split("."), data)
    evaluation["episodes"] = [value + 1 for value in evaluation["episodes"]]
    evaluation["mean"] = sum(evaluation["episodes"]) / len(evaluation["episodes"])


def test_an_honest_run_is_verified_to_the_bit(folder: Path) -> None:
    before = sorted(path.name for path in folder.rglob("*"))
    done = acrl(folder, "verify", RUN)
    assert (done.code, done.err) == (0, "")
    *checks, total = done.out.splitlines()
    assert [line.split()[0] for line in checks] == ["ok"] * 6
    assert "ok      rerun: agrees: R+L2 nfw seed 0 made again whole in" in checks[-1]
    assert "numbers compared are equal to the bit" in checks[-1]
    assert total == "verified: 6 ok, 0 warnings, 0 failed, 1 run read"
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_an_honest_submission_is_verified(packed: Path) -> None:
    done, verification = verify(packed.parent, packed)
    assert done.code == 0
    assert (verification.kind, verification.runs, verification.verdict) == ("submission", 2, "verified")
    checks = ["archive", "files", "manifest", "adapter"]
    checks += ["completeness", "configuration", "code", "consistency", "rerun"]
    assert [one.check for one in verification.findings] == checks
    assert {one.level for one in verification.findings} == {"ok"}


@pytest.mark.parametrize("place", ["results/smoke", "results/smoke/runs", "results/smoke/runs/BSS-3/nfw"])
def test_a_folder_is_verified(folder: Path, place: str) -> None:
    done, verification = verify(folder, place, "--no-rerun")
    assert done.code == 0
    assert verification.kind == "folder"
    missing = (
        []
        if place != "results/smoke/runs/BSS-3/nfw"
        else ["completeness: 1 of 2 runs that profile smoke asks of nfw; missing: R+L2 nfw seed 0"]
    )
    assert said(verification, "warning") == missing
    assert verify(folder, place, "--no-rerun", "--strict")[0].code == len(missing)


@pytest.mark.parametrize("steps", [1, 50, 100, 149])
def test_a_run_made_again_in_part_agrees_up_to_there(folder: Path, steps: int) -> None:
    # Updates are made at the end of an episode: 50 steps here, but not the step before the run's last one.
    done, verification = verify(folder, RUN, "--rerun-steps", str(steps))
    assert done.code == 0, done.out
    last = max(50, steps // 50 * 50)
    assert f"rerun: agrees: R+L2 nfw seed 0 made again up to step {last} of 150" in said(verification, "ok")[-1]


def test_an_evaluation_within_an_episode_is_made_again_as_it_was(params: Params, tmp_path: Path) -> None:
    # Bike sharing's episodes have 100 steps, and updates are made at their end: an evaluation at step 50 is of a policy
    # that has learned nothing yet, unless the run itself ends there.
    profile = params.profile("smoke")
    early = profile.model_copy(update={"learner": profile.learner | {"warmup": 20}})
    altered = params.model_copy(update={"profiles": {"smoke": early}})
    result = execute(Run("smoke", "BSS-3", "nfw", 0), altered, tmp_path, lambda _: None)
    stretch = rerun.choose_stretch(result, 50)
    again = rerun.repeat(result, stretch, tmp_path / "smoke", lambda _: lambda _: None)
    assert rerun.compare(result, again, stretch, [], [result]).verdict == "agrees"
    ended = RunConfig.model_validate(result.config | {"steps": 50})
    other = train(make_task("BSS-3"), "nfw", ended, 0, tmp_path, lambda _: None)
    assert rerun.compare(result, other, stretch, [], [result]).verdict == "differs"


@pytest.mark.parametrize("method", ["ddpg-projection", "ddpg-penalty", "flowpg-gauge"])
def test_every_kind_of_method_can_be_made_again_in_part(params: Params, tmp_path: Path, method: str) -> None:
    result = execute(Run("smoke", "R+L2", method, 0), params, tmp_path, lambda _: None)
    stretch = rerun.choose_stretch(result, 100)
    again = rerun.repeat(result, stretch, tmp_path / "smoke", lambda _: lambda _: None)
    compared = rerun.compare(result, again, stretch, [], [result])
    assert compared.verdict == "agrees", compared.detail


def test_how_much_of_a_long_run_is_made_again(params: Params, tmp_path: Path) -> None:
    result = execute(Run("smoke", "R+L2", "nfw", 0), params, tmp_path, lambda _: None)
    long = result.model_copy(update={"config": result.config | {"steps": 10_000}})
    assert long.returns is not None
    assert result.curves["update/critic_loss"][0] is None
    # Learning begins between steps 50 and 100, so that all of the third stretch is learned from.
    assert rerun.choose_stretch(long, None) == rerun.Stretch(150, 3, whole=False)
    assert rerun.choose_stretch(long, 99) == rerun.Stretch(50, 1, whole=False)
    assert rerun.choose_stretch(result, None) == rerun.Stretch(150, 3, whole=True)


@pytest.mark.parametrize("where", ["returns.evaluations.0", "returns.final", "returns.best"])
def test_a_return_changed_with_its_digest_is_caught_by_making_the_run_again(folder: Path, where: str) -> None:
    forge(folder / RUN, lambda data: numbers_shifted(data, where))
    done, verification = verify(folder, RUN)
    assert done.code == 1
    (problem,) = said(verification, "failed")
    assert problem.startswith("rerun: differs: R+L2 nfw seed 0 made again whole")
    assert f"the first {where}." in problem
    assert verify(folder, RUN, "--no-rerun")[0].code == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["violations"]["policy"]["valid_share"].update({"0": 0.123}),
            "valid_share is no number of actions",
        ),
        (lambda d: d["violations"]["policy"]["valid_share"].update({"0": 1.0}), "valid_share falls as the tolerance"),
        (lambda d: d["violations"]["policy"].update(count=d["violations"]["policy"]["count"] - 1), "violated"),
        (lambda d: d["violations"]["policy"].update(max=0.0), "and max 0.0 of"),
        (lambda d: d["violations"]["behaviour"].update(n=149), "violations.behaviour.n is 149, of 150 steps"),
        (lambda d: d["returns"]["final"].update(mean=0.0), "returns.final: the mean is 0.0 and that of its episodes"),
        (lambda d: d["returns"]["final"].update(step=100), "returns.final is of step 100"),
        (lambda d: d["returns"]["evaluations"].pop(), "returns.evaluations are not at every 50 of 150 steps"),
        (lambda d: d["returns"]["best"]["episodes"].pop(), "returns.best: 1 episodes and not 2"),
        (lambda d: d["curves"]["step"].reverse(), "curves.step are not the steps of the evaluations"),
        (lambda d: d["curves"]["violations/policy"].reverse(), "does not grow to violations.policy.count"),
        (lambda d: d["curves"]["update/critic_loss"].pop(), "curves.update/critic_loss has 2 points and not 3"),
        (lambda d: d["seconds"].update(total=d["seconds"]["update"]), "seconds: the parts sum to"),
        (lambda d: d["seconds"].update(act=-1.0), "seconds: a part took less than no time"),
        (lambda d: d["calls"].update(project_rows=0), "calls: fewer actions than calls"),
        (lambda d: d["config"].update(steps="many"), "its configuration is none of a run, at 'steps'"),
        (lambda d: d["final_policy"]["violations"].update(n=1), "final_policy.violations"),
        (lambda d: d.update(final_policy=None), "lacks returns, violations or the last policy"),
    ],
)
def test_numbers_that_do_not_fit_each_other_are_named(
    nfw_runs: Path, change: Callable[[Data], object], message: str
) -> None:
    data = json.loads((nfw_runs / RUN).read_text())
    assert list(problems(RunResult.model_validate(data))) == []
    change(data)
    found = list(problems(RunResult.model_validate(data)))
    assert any(message in problem for problem in found), found


def test_a_changed_share_is_caught_without_making_the_run_again(folder: Path) -> None:
    forge(folder / RUN, lambda data: data["violations"]["policy"]["valid_share"].update({"0.1": 0.9999}))
    done, verification = verify(folder, RUN, "--no-rerun")
    assert done.code == 1
    assert all(
        problem.startswith("consistency: R+L2 nfw seed 0: violations.policy")
        for problem in said(verification, "failed")
    )


@given(st.floats(0, 1), st.sampled_from(["0", "1e-06", "0.001", "0.01", "0.1"]))
def test_no_other_share_but_the_recorded_one_fits_at_tolerance_0(nfw_runs: Path, share: float, key: str) -> None:
    run = read_run(nfw_runs / RUN)
    assert run.violations is not None
    count = run.violations.policy
    honest = count.valid_share[key]
    count.valid_share[key] = share
    caught = bool(list(problems(run)))
    assert caught or share == honest or (key != "0" and (share * count.n) == pytest.approx(round(share * count.n)))


def test_a_flipped_digit_is_caught_by_the_digest(folder: Path) -> None:
    path = folder / RUN
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    done, verification = verify(folder, RUN)
    assert done.code == 1
    assert "its entries do not have the digest in it" in said(verification, "failed")[0]


def test_a_run_without_a_digest_is_a_warning(folder: Path) -> None:
    data = json.loads((folder / RUN).read_text())
    del data["provenance"]["sha256"]
    (folder / RUN).write_text(json.dumps(data))
    done, verification = verify(folder, RUN, "--no-rerun")
    assert done.code == 0
    assert said(verification, "warning")[0].startswith("files: 1 of 1 have no digest in them")
    assert verify(folder, RUN, "--no-rerun", "--strict")[0].code == 1


def test_a_run_of_other_code_is_a_warning_unless_strict(folder: Path) -> None:
    forge(folder / RUN, lambda data: data.update(run_key="0" * 64))
    done, verification = verify(folder, RUN)
    assert done.code == 0
    (warning,) = said(verification, "warning")
    assert warning.startswith("code: R+L2 nfw seed 0 was made with other code or settings than this checkout's")
    done, verification = verify(folder, RUN, "--strict", "--no-rerun")
    assert (done.code, said(verification, "failed")) == (1, [warning])


def test_a_run_of_other_settings_fails_and_the_setting_is_named(folder: Path) -> None:
    forge(folder / RUN, lambda data: data["config"]["method"].update(batch_size=17))
    done, verification = verify(folder, RUN)
    assert done.code == 1
    assert said(verification, "failed") == [
        "configuration: R+L2 nfw seed 0: config.method.batch_size is 17 in the file and 16 in this checkout"
    ]
    # What settings a stranger has set is not run.
    assert "rerun: nothing was made again: no run whose code is here passed the checks before" in said(
        verification, "warning"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(profile="smoky"), "unknown profile 'smoky': did you mean 'smoke'"),
        (lambda d: d.update(method="nfww"), "unknown method 'nfww': did you mean 'nfw'"),
        (lambda d: d.update(task="R+L3"), "unknown task 'R+L3': did you mean"),
        (lambda d: d.update(schema_version=2), "has schema version 2; this program knows version 1"),
        (lambda d: d.update(extra="x"), "written by another version of this program: at 'extra'"),
    ],
)
def test_what_is_unknown_here_is_named(folder: Path, change: Callable[[Data], object], message: str) -> None:
    forge(folder / RUN, change)
    done, verification = verify(folder, RUN)
    assert done.code == 1
    assert any(message in problem for problem in said(verification, "failed"))


def test_a_run_that_failed_is_no_result(params: Params, tmp_path: Path, folder: Path) -> None:
    run = Run("smoke", "R+L2", "nfw", 0)
    record_failure(run, params, tmp_path, "went\x1b[31m wrong")
    done = acrl(folder, "verify", run.path(tmp_path))
    assert done.code == 1
    assert "failed  completeness: R+L2 nfw seed 0 is failed, no result: went?[31m wrong" in done.out
    assert done.out.splitlines()[-1].startswith("failed: ")


def test_the_same_run_twice_is_refused(folder: Path) -> None:
    shutil.copy(folder / RUN, folder / "results/smoke/runs/again.json")
    done, verification = verify(folder, "results/smoke", "--no-rerun")
    assert done.code == 1
    assert "are the same run" in said(verification, "failed")[0]


@pytest.mark.parametrize(
    ("path", "message"),
    [("nothing.json", "no such file: nothing.json"), ("empty", "empty has no .json in it"), ("no.zip", "cannot read")],
)
def test_nothing_to_verify_is_a_users_error(folder: Path, path: str, message: str) -> None:
    (folder / "empty").mkdir()
    done = acrl(folder, "verify", path)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def repack(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    files = unpack(path)
    change(files)
    path.write_bytes(pack(files))


def manifest_changed(files: dict[str, bytes], **changes: object) -> None:
    files[MANIFEST] = json.dumps(json.loads(files[MANIFEST]) | changes).encode()


INSIDE = "runs/R+L2/nfw/seed-0.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop(INSIDE), f"{INSIDE} is in the manifest and not in the archive"),
        (lambda f: f.update({INSIDE: f[INSIDE] + b" "}), f"{INSIDE} is not what the manifest has the hash of"),
        (lambda f: f.update({"runs/R+L2/nfw/seed-1.json": f[INSIDE]}), "is in the archive and not in its manifest"),
        (lambda f: manifest_changed(f, tasks=["R+L2"]), "its tasks are BSS-3, R+L2, not R+L2"),
        (lambda f: manifest_changed(f, machines=["a faster one"]), "its machines are"),
        (lambda f: manifest_changed(f, complete=3), "it says 3 runs, and has 2"),
        (lambda f: manifest_changed(f, expected=3), "the manifest says that 3 runs are asked for"),
        (lambda f: manifest_changed(f, adapters=[]), "does not name the adapter of each of its methods"),
        (lambda f: manifest_changed(f, schema_version=2), "its manifest.json cannot be read: 'schema_version'"),
        (lambda f: manifest_changed(f, author="a\nb"), "its manifest.json cannot be read: 'author'"),
        (lambda f: f.update({MANIFEST: b"\xff"}), "its manifest.json cannot be read"),
    ],
)
def test_an_archive_that_is_not_as_it_says_fails(
    packed: Path, change: Callable[[dict[str, bytes]], object], message: str
) -> None:
    repack(packed, change)
    done, verification = verify(packed.parent, packed, "--no-rerun")
    assert done.code == 1
    assert any(message in problem for problem in said(verification, "failed")), verification.findings


def test_a_corrupted_archive_fails(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:500])
    done = acrl(packed.parent, "verify", packed)
    assert done.code == 1
    assert done.out.startswith("failed  archive: the archive is damaged:")
    assert done.out.splitlines()[-1] == "failed: 0 ok, 0 warnings, 1 failed, 0 runs read"


def test_missing_seeds_are_a_failure_unless_they_were_said(folder: Path) -> None:
    (folder / "results/smoke/runs/BSS-3/nfw/seed-0.json").unlink()
    acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip", "--incomplete")
    path = folder / "nfw.zip"
    done, verification = verify(folder, path, "--no-rerun")
    text = "completeness: 1 of 2 runs that profile smoke asks of nfw"
    assert done.code == 0
    assert said(verification, "warning") == [f"{text}, as its manifest says; missing: BSS-3 nfw seed 0"]
    repack(path, lambda files: manifest_changed(files, incomplete=False))
    done, verification = verify(folder, path, "--no-rerun")
    assert done.code == 1
    assert said(verification, "failed") == [f"{text}, and the manifest says all; missing: BSS-3 nfw seed 0"]


# A run as it would come from elsewhere: the same seeds, in other floating-point numbers.
WHOLE = rerun.Stretch(150, 3, whole=True)


@pytest.fixture(scope="module")
def seeds(params: Params, tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    folder = tmp_path_factory.mktemp("seeds")
    return [execute(Run("smoke", "R+L2", "nfw", seed), params, folder, lambda _: None) for seed in range(4)]


@pytest.fixture(scope="module")
def again(seeds: list[RunResult], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return rerun.repeat(seeds[0], WHOLE, tmp_path_factory.mktemp("none"), lambda _: lambda _: None)


def test_elsewhere_why_digits_may_differ(seeds: list[RunResult]) -> None:
    origin = seeds[0].provenance
    assert torch.get_num_threads() == 1
    assert rerun.differences(origin, True) == []
    for change, reason in (
        ({"processor": "Another CPU"}, "another machine"),
        ({"threads": 2}, "another machine"),
        ({"platform": "Another OS"}, "another platform"),
        ({"lock_sha256": "0"}, "another requirements.lock"),
        ({"versions": {}}, "other versions of libraries"),
        ({"together": 4}, "seeds trained together"),
    ):
        assert rerun.differences(origin.model_copy(update=change), True) == [reason]
    assert rerun.differences(origin, False) == ["other code"]


def test_elsewhere_last_digits_agree(seeds: list[RunResult], again: Any) -> None:
    run = seeds[0].model_copy(deep=True)
    assert run.returns is not None
    run.returns.final.mean *= 1 + 1e-9
    compared = rerun.compare(run, again, WHOLE, ["another machine"], [run])
    assert compared.verdict == "agrees"
    assert "within 1e-06" in compared.detail
    assert rerun.compare(run, again, WHOLE, [], [run]).verdict == "differs"


def test_elsewhere_another_seed_lies_within_the_spread(seeds: list[RunResult], again: Any) -> None:
    # Seed 1 passed off as seed 0 is what learning in other digits comes to in the end.
    compared = rerun.compare(seeds[1], again, WHOLE, ["another machine"], seeds[1:])
    assert compared.verdict == "agrees within the spread of seeds", compared.detail


def test_elsewhere_returns_far_from_those_made_again_differ(seeds: list[RunResult], again: Any) -> None:
    better = [one.model_copy(deep=True) for one in seeds]
    for one in better:
        assert one.returns is not None
        one.returns.evaluations[-1].mean += 1000
    compared = rerun.compare(better[0], again, WHOLE, ["another machine"], better)
    assert compared.verdict == "differs"
    assert "the return at step 150 is" in compared.detail


def test_elsewhere_one_seed_leaves_it_undecided(seeds: list[RunResult], again: Any) -> None:
    assert rerun.compare(seeds[1], again, WHOLE, ["another machine"], seeds[1:2]).verdict == "undecided"


def test_elsewhere_on_the_command_line_that_is_a_warning(folder: Path) -> None:
    def change(data: Data) -> None:
        data["provenance"]["processor"] = "Another CPU"
        numbers_shifted(data, "returns.final")

    forge(folder / RUN, change)
    done, verification = verify(folder, RUN)
    assert done.code == 0
    assert said(verification, "warning")[0].startswith("rerun: undecided: R+L2 nfw seed 0 made again whole")
    assert verify(folder, RUN, "--strict")[0].code == 1


def test_the_shortest_run_is_made_again(nfw_runs: Path) -> None:
    first = read_run(nfw_runs / RUN)
    longer = first.model_copy(update={"config": first.config | {"steps": 151}})
    slower = first.model_copy(update={"seconds": first.seconds.model_copy(update={"prepare": 99.0})})
    assert rerun.shortest([longer, slower, first]) is first
