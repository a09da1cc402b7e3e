"""Submissions: a method's TOML beside its runs, on the leaderboard without its code, and verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.benchmark.command import acrl, finish, install, refused, start, workplace
from tests.benchmark.synthetic_results import make_run, save
from tests.benchmark.verification.verified import forge, said, verify

# A method, for a module that is installed.
PLUGIN = """
from methods.base import MethodConfig, register_method
from tests.methods.scripted import Scripted

register_method("theirs")(type("Theirs", (Scripted,), {"__module__": "theirs", "Config": MethodConfig}))
"""
TOML = """
author = "A. Nonymous (a@example.org)"
source = "https://example.org/theirs"
commit = "0123456789abcdef"
paper = "arXiv:2102.11055"
package = "theirs==1.0"
"""
PLACE = "results/smoke/submissions/theirs.toml"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def elsewhere(nfw_runs: Path, tmp_path_factory: pytest.TempPathFactory, program: Path) -> Path:
    """A folder where a plug-in is installed for processes, with a run of its method and its TOML. To be read only."""
    folder = Path(shutil.copytree(nfw_runs, tmp_path_factory.mktemp("elsewhere") / "copy"))
    install(folder, "acrl.methods", "theirs", PLUGIN)
    done = finish(start(folder, "run", "R+L2", "theirs", "-p", "smoke", program=program))
    assert done.code == 0, done.err
    write(folder / PLACE, TOML)
    return folder


@pytest.fixture
def folder(elsewhere: Path, tmp_path: Path) -> Path:
    """A folder with the submission, for this process, where the plug-in is not installed."""
    return Path(shutil.copytree(elsewhere, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('author = "A. Nonymous (a@example.org)"\n', "", "'author': Field required"),
        ("A. Nonymous", "<b>A</b>", "'author': give one line"),
        ("A. Nonymous", "A\\nB", "'author': give one line"),
        ("https://example.org/theirs", "javascript:alert(1)", "'source': give an address, https://..."),
        ("0123456789abcdef", "main", "'commit': give the hash of a commit"),
        ("arXiv:2102.11055", "a fine paper", "'paper': give https://..., a DOI or an arXiv number"),
        ("theirs==1.0", "--index-url=https://example.org theirs", "'package': give NAME==VERSION or NAME @ git+https"),
        ('paper = "', '"a\\u001bb" = "', "'a\\x1bb': Extra inputs are not permitted"),
        ('author = "', "author = ", "is not TOML: Invalid value (at line 2"),
    ],
)
def test_a_bad_submission_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    save(tmp_path / "results/smoke", make_run(method="theirs", profile="smoke"))
    assert old in TOML
    path = write(tmp_path / PLACE, TOML.replace(old, new, 1))
    assert message in refused(workplace(tmp_path), "verify", path)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (PLACE, "there is no run of 'theirs' beside it, in ../runs/<task>/theirs"),
        ("mine.toml", "is not in its place: move it to results/<profile>/submissions/mine.toml"),
        ("results/smoke/submissions/a b.toml", "is not named by a method's id"),
    ],
)
def test_a_submission_without_runs_or_out_of_its_place_is_refused(tmp_path: Path, place: str, message: str) -> None:
    assert message in refused(workplace(tmp_path), "verify", write(tmp_path / place, TOML))


def test_where_the_package_is_installed_a_run_is_made_again(elsewhere: Path, program: Path) -> None:
    done = finish(start(elsewhere, "verify", PLACE, "--json", program=program))
    assert (done.code, done.err) == (0, ""), done.out
    document = json.loads(done.out)
    assert (document["kind"], document["runs"], document["verdict"]) == ("submission", 1, "verified")
    # What is said of commits depends on the checkout.
    findings = [one for one in document["findings"] if one["check"] != "commits"]
    assert [one["check"] for one in findings] == [
        *("files", "submission", "completeness", "configuration", "versions", "libraries", "consistency", "rerun"),
    ]
    assert [one["check"] for one in findings if one["level"] != "ok"] == ["completeness"]
    assert document["findings"][-1]["message"].startswith("agrees: ")


def test_elsewhere_what_does_not_need_the_code_is_verified(folder: Path) -> None:
    done, verification = verify(folder, PLACE, "--no-rerun")
    assert done.code == 0
    (warning,) = [text for text in said(verification, "warning") if text.startswith("submission: ")]
    assert "'theirs' is not installed here" in warning
    assert warning.endswith(": install theirs==1.0, and verify again")
    assert verify(folder, PLACE, "--no-rerun", "--strict")[0].code == 1


def test_budgets_are_compared_without_the_code(folder: Path) -> None:
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("    steps: 150\n", "    steps: 151\n", 1))
    done, verification = verify(folder, PLACE)
    problem = "configuration: R+L2 theirs seed 0: config.steps is 150 in the file and 151 in this checkout"
    assert (done.code, said(verification, "failed")) == (1, [problem])


def test_a_method_of_the_benchmark_cannot_be_submitted_by_another(folder: Path) -> None:
    for method, message in (
        ("nfw", "'nfw' is a method of profile smoke itself: submit a method with another id"),
        ("hold", "'hold' is a reference method; its runs are made here and cannot be submitted"),
        ("dopt", "'dopt' belongs to this repository, not to theirs==1.0: choose another id"),
    ):
        save(folder / "results/smoke", make_run(method=method, profile="smoke"))
        path = write(folder / f"results/smoke/submissions/{method}.toml", TOML)
        done, verification = verify(folder, path, "--no-rerun")
        assert done.code == 1
        assert any(message in problem for problem in said(verification, "failed"))


def test_runs_of_an_older_protocol_are_stale_wherever_they_are_from(folder: Path) -> None:
    run = folder / "results/smoke/runs/R+L2/theirs/seed-0.json"
    forge(run, lambda data: data["versions"].update(protocol=0))
    done = acrl(folder, "status", "-p", "smoke", "--method", "theirs")
    assert done.out.splitlines()[0] == "profile smoke: 1 stale"
    assert "stale (version of protocol is 1, was 0)" in done.out
    assert "warning: 1 runs are of other versions or settings than today's" in acrl(folder, "tables", "-p", "smoke").err
    for page in ("tables/leaderboard.md", "tables/README.md", "claims.md"):
        told = "Stale, made with other versions or settings than today's: 1 runs of theirs."
        assert told in (folder / "results/smoke" / page).read_text()
    warnings = said(verify(folder, PLACE, "--no-rerun")[1], "warning")
    assert any("versions: R+L2 theirs seed 0 was made with other versions" in one for one in warnings)


def test_tables_and_report_show_it_with_its_author_and_source(folder: Path) -> None:
    assert "theirs" not in acrl(folder, "list").out
    for command in ("tables", "report"):
        done = acrl(folder, command, "-p", "smoke")
        assert (done.code, done.err) == (0, "")
    tables = folder / "results/smoke/tables"
    for name in ("returns", "violations", "wallclock"):
        lines = (tables / f"{name}.md").read_text().splitlines()
        assert any(line.startswith("| R+L2   | theirs") for line in lines), name
    for name in ("README.md", "leaderboard.md", "leaderboard.tex"):
        text = (tables / name).read_text()
        assert "A. Nonymous (a@example.org); source https://example.org/theirs; commit 0123456789abcdef" in text
    page = (folder / "results/smoke/site/methods/theirs.html").read_text()
    assert '<a href="https://example.org/theirs" rel="nofollow">https://example.org/theirs</a>' in page
    assert '<a href="https://arxiv.org/abs/2102.11055">arXiv 2102.11055</a>' in page
    assert "theirs was submitted" in (folder / "results/smoke/site/index.html").read_text()


def test_its_runs_are_neither_stale_nor_missing_and_can_be_compared(folder: Path) -> None:
    done = acrl(folder, "status", "-p", "smoke", "--method", "theirs")
    assert done.out.splitlines()[0] == "profile smoke: 1 submitted"
    assert done.out.splitlines()[-1].split() == ["theirs", "1/1"]
    assert json.loads(acrl(folder, "status", "-p", "smoke", "--json").out)["counts"]["submitted"] == 1
    done = acrl(folder, "compare", "theirs", "nfw", "-p", "smoke")
    assert (done.code, done.err) == (0, "")
    assert "A: its code is not installed here, so only the versions of protocol and task are compared" in done.out
