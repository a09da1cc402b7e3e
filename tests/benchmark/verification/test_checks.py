"""Verification: what honest runs pass, and what is said of others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.records import provenance
from tests.benchmark.command import acrl, git, refused
from tests.benchmark.synthetic_results import alter
from tests.benchmark.verification.verified import RUN, Data, forge, said, verify


def test_an_honest_run_is_verified_to_the_bit(nfw_copy: Path) -> None:
    before = sorted(path.name for path in nfw_copy.rglob("*"))
    done = acrl(nfw_copy, "verify", RUN)
    assert (done.code, done.err) == (0, "")
    *checks, total = done.out.splitlines()
    assert [line.split()[0] for line in checks] == ["ok"] * 8
    assert "ok      rerun: agrees: R+L2 nfw seed 0 repeated whole in" in checks[-1]
    assert "numbers compared are equal to the bit" in checks[-1]
    assert total == "verified: 8 ok, 0 warnings, 0 failed, 1 run read"
    assert sorted(path.name for path in nfw_copy.rglob("*")) == before


@pytest.mark.parametrize("place", ["results/smoke", "results/smoke/runs/BSS-3/nfw"])
def test_a_folder_is_verified(nfw_copy: Path, place: str) -> None:
    done, verification = verify(nfw_copy, place, "--no-rerun")
    assert done.code == 0
    assert verification.kind == "folder"
    missing = ["completeness: 1 of 2 runs of nfw in profile smoke; missing: R+L2 nfw seed 0"]
    assert said(verification, "warning") == (missing if "BSS-3" in place else [])
    assert verify(nfw_copy, place, "--no-rerun", "--strict")[0].code == ("BSS-3" in place)


@pytest.mark.parametrize(
    ("tamper", "change", "message"),
    [
        (forge, lambda d: d["provenance"].update(dirty=True), "commits: 1 of 2 were made with uncommitted changes"),
        (forge, lambda d: d["provenance"]["versions"].update(torch="1.13.1"), "libraries: runs were made with torch"),
        (forge, lambda d: d.update(run_key="0"), "versions: R+L2 nfw seed 0 was made with other"),
        (alter, lambda _: None, "files: 1 of 2 have no digest"),
    ],
)
def test_what_a_reader_has_to_judge_is_a_warning_unless_strict(
    nfw_copy: Path, tamper: Callable[..., None], change: Callable[[Data], object], message: str
) -> None:
    tamper(nfw_copy / RUN, change)
    done, verification = verify(nfw_copy, "results/smoke", "--no-rerun")
    assert done.code == 0
    (warning,) = said(verification, "warning")
    assert warning.startswith(message)
    done, verification = verify(nfw_copy, "results/smoke", "--strict", "--no-rerun")
    assert (done.code, said(verification, "failed")) == (1, [warning])


def test_a_dirty_checkout_is_warned_of_where_it_makes_a_run_again(
    nfw_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "new.py").touch()
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    _, verification = verify(nfw_copy, RUN, "--rerun-steps", "149")
    (warning,) = said(verification, "warning")
    assert warning.startswith(
        "commits: this checkout has uncommitted changes, so a run is repeated with code of no commit"
    )
    assert said(verify(nfw_copy, RUN, "--no-rerun")[1], "warning") == []


def test_a_setting_that_a_run_is_older_than_is_no_other_setting(nfw_copy: Path) -> None:
    forge(nfw_copy / RUN, lambda data: data["config"]["method"].pop("warmup_actions"))
    done, verification = verify(nfw_copy, "results/smoke", "--no-rerun", "--strict")
    assert (done.code, verification.verdict) == (0, "verified")


def test_a_run_of_other_settings_fails_and_the_setting_is_named(nfw_copy: Path) -> None:
    forge(nfw_copy / RUN, lambda data: data["config"]["method"].update(batch_size=17))
    done, verification = verify(nfw_copy, RUN)
    assert done.code == 1
    assert said(verification, "failed") == [
        "configuration: R+L2 nfw seed 0: config.method.batch_size is 17 in the file and 16 in this checkout"
    ]
    # What settings a stranger has set is not run.
    assert "rerun: no run was repeated: none that can be made here passed the other checks" in said(
        verification, "warning"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(profile="smoky"), "unknown profile 'smoky': did you mean 'smoke'"),
        (lambda d: d.update(method="nfww"), "unknown method 'nfww': did you mean 'nfw'"),
        (lambda d: d.update(extra="x"), "of another version of this program: at 'extra'"),
    ],
)
def test_what_is_unknown_here_is_named(nfw_copy: Path, change: Callable[[Data], object], message: str) -> None:
    forge(nfw_copy / RUN, change)
    data = json.loads((nfw_copy / RUN).read_text())
    place = nfw_copy / "results" / data["profile"] / "runs" / data["task"] / data["method"] / "seed-0.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    (nfw_copy / RUN).replace(place)
    done, verification = verify(nfw_copy, place)
    assert done.code == 1
    assert any(message in problem for problem in said(verification, "failed"))


@pytest.mark.parametrize("place", ["runs/again.json", "../small/runs/R+L2/nfw/seed-0.json"])
def test_a_run_out_of_its_place_is_refused(nfw_copy: Path, place: str) -> None:
    (nfw_copy / "results/smoke" / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(nfw_copy / RUN, nfw_copy / "results/smoke" / place)
    done, verification = verify(nfw_copy, f"results/smoke/{place}", "--no-rerun")
    assert done.code == 1
    assert "holds the run smoke/runs/R+L2/nfw/seed-0.json: move it there" in said(verification, "failed")[0]


@pytest.mark.parametrize(
    ("path", "message"), [("nothing.json", "no such file: nothing.json"), ("empty", "empty contains no .json")]
)
def test_nothing_to_verify_is_a_users_error(nfw_copy: Path, path: str, message: str) -> None:
    (nfw_copy / "empty").mkdir()
    assert message in refused(nfw_copy, "verify", path)
