"""What README.md says was found: of today's results, and written where its markers are."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.analysis.claims import evaluate_claims
from benchmark.analysis.leaderboard import Leaderboard, read_leaderboard
from benchmark.publishing.advice import ALL_OPEN, does_the_flow_help
from benchmark.publishing.claims import write_claims
from benchmark.publishing.extremes import extremes
from benchmark.publishing.findings import findings, markers, released_target, update_readme
from benchmark.publishing.metrics import write_metrics
from benchmark.publishing.tables import write_tables
from benchmark.records.config import load_params
from benchmark.records.results import FinalPolicy
from benchmarks.set_picture import PICTURE, draw
from envs.errors import UserError
from tests.benchmark.command import ROOT
from tests.benchmark.synthetic_claims import FLOW, World
from tests.benchmark.synthetic_results import (
    METHODS,
    PROFILE,
    TWO_TASKS,
    board_of,
    generator,
    make_count,
    make_run_with_return,
    make_timing,
    row_of,
    save,
)

BEGIN, END = markers(PROFILE)


def test_the_readme_says_what_the_record_says() -> None:
    folder = ROOT / "results" / "small"
    params = load_params(ROOT / "params.yaml")
    board = read_leaderboard(folder, params.profile("small"), params)
    begin, end = markers("small")
    written = (ROOT / "README.md").read_text().partition(begin)[2].partition(end)[0]
    expected = findings(board, evaluate_claims(board.found, folder), folder)
    assert written.strip() == expected.strip(), "stale: run `acrl tables -p small`"


@pytest.mark.parametrize("profile", ["small", "survey"])
def test_the_committed_pages_say_what_the_record_says(profile: str, tmp_path: Path) -> None:
    folder, params = ROOT / "results" / profile, load_params(ROOT / "params.yaml")
    board = read_leaderboard(folder, params.profile(profile), params)
    claims = evaluate_claims(board.found, folder)
    made = [*write_tables(board, tmp_path), *write_claims(claims, tmp_path), *write_metrics(board, tmp_path)]
    stale = [path.name for path in made if path.read_bytes() != (folder / path.relative_to(tmp_path)).read_bytes()]
    assert not stale, f"run `acrl tables -p {profile}`"


def test_its_picture_is_what_its_script_draws() -> None:
    assert PICTURE.read_text("utf-8") == draw()


def test_findings_go_between_the_markers_of_their_profile_and_nowhere_else(made_up: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(made_up, tmp_path / "results" / PROFILE))
    board = board_of(copied)
    claims = evaluate_claims(board.found, copied)
    readme = tmp_path / "README.md"
    assert update_readme(board, claims, copied) == []
    assert not readme.exists()
    readme.write_text("Mine.\n")
    assert update_readme(board, claims, copied) == []
    readme.write_text(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n")
    for _ in range(2):
        assert update_readme(board, claims, copied) == [readme]
        assert readme.read_text() == f"Before.\n{BEGIN}\n\n{findings(board, claims, copied)}\n{END}\nAfter.\n"
    readme.write_text(BEGIN)
    with pytest.raises(UserError, match="without"):
        update_readme(board, claims, copied)
    assert readme.read_text() == BEGIN


def test_what_may_be_best_and_is_valid_is_named_and_seeds_that_lack_are_counted(copied: Path) -> None:
    # Returns of both seeds, and whether one output in ten is invalid.
    rows = {"hold": (0, 1, 0), "flowpg": (0, 3, 0), "nfw": (0, 1, 1), "ddpg-penalty": (-1, 2, 0)}
    for method, (*returns, invalid) in rows.items():
        final = FinalPolicy(violations=make_count(generator(method), 500, 0.1 * invalid, 0.05), contexts=[])
        for seed, value in enumerate(returns):
            save(copied, make_run_with_return("R+L2", method, seed, 1e6 + value, final_policy=final))
    (copied / "runs" / "R+L2" / "ddpg-penalty" / "seed-1.json").unlink()
    board = board_of(copied, methods=(*METHODS, "drad"))
    text = findings(board, evaluate_claims(board.found, copied), copied)
    cells = {method: row_of(text, f"`{method}`")[1] for method in rows}
    assert [method for method, cell in cells.items() if cell.startswith("**")] == ["hold", "flowpg", "nfw"]
    assert cells["ddpg-penalty"].endswith("(1 of 2 seeds)")
    advice = next(line for line in text.splitlines() if line.startswith("- R+L2 (7% of the published steps): "))
    assert "**`flowpg`**, return" in advice
    assert (
        "2 seeds, 100% valid; or `hold` 1,000,000 [999,994, 1,000,007]; "
        "with one seed, too few to compare: `ddpg-penalty`; no run yet: `drad`." in advice
    )
    assert "Doing nothing" not in text
    assert "- A cell without a score or a return: no run yet (drad)." in text.splitlines()
    assert "not timed" not in text
    save(copied, make_timing(), make_run_with_return("R+L2", "drad", 0, 0))
    board = board_of(copied, methods=(*METHODS, "drad"))
    text = findings(board, evaluate_claims(board.found, copied), copied)
    assert "- A cell without a time: not timed (drad)." in text.splitlines()
    save(copied, make_run_with_return("R+L2", "ddpg-penalty", 1, 0))
    save(copied, make_run_with_return("R+L2", "hold", 0, 2e6))
    board = board_of(copied)
    text = findings(board, evaluate_claims(board.found, copied), copied)
    assert "no run yet" not in text
    assert "**Doing nothing (`hold`) has the highest mean return on R+L2.**" in text
    assert "Returns in place of scores on R+L2" in text
    assert row_of(text, "`hold`")[1].startswith("**return 1,500,000")
    short = Leaderboard(replace(board.found, ranked=False))
    assert "Which method" not in findings(short, evaluate_claims(short.found, copied), copied)


def test_whether_a_flow_helps_is_told_where_both_have_two_seeds(copied: Path) -> None:
    def told(methods: tuple[str, ...], **returns: Sequence[tuple[float, ...]]) -> list[str]:
        for task, row in zip(TWO_TASKS, returns.values(), strict=False):
            for method, values in zip(methods, row, strict=True):
                for seed, value in enumerate(values):
                    save(copied, make_run_with_return(task, method, seed, value))
        return does_the_flow_help(board_of(copied, methods=methods).found)

    rays = ("flowpg-gauge", "ddpg-gauge")
    assert told(rays, first=[(10, 12), (10,)]) == []
    (text,) = told(rays, first=[(10, 12), (9, 13)])
    assert text.endswith(f"of `ddpg-gauge`: `flowpg-gauge` 0 [-14, 14] on R+L2. {ALL_OPEN}")
    (text,) = told(rays, first=[(10, 12), (9, 13)], second=[(70, 71), (20, 21)])
    assert text.endswith("0 [-14, 14] on R+L2, 50 [47, 53] on HC+O. On HC+O `flowpg-gauge` returns more.")
    (text,) = told(("flowpg", *rays), first=[(80, 81), (10, 12), (90, 91)])
    assert "of `ddpg-gauge`: `flowpg` -10 [-13, -7] on R+L2, " in text
    assert "On R+L2 `flowpg` returns less." in text
    assert text.endswith("On HC+O `flowpg-gauge` returns more. On R+L2 `flowpg-gauge` returns less.")


def test_the_released_target_is_as_experiment_x1_and_the_record_have_it(copied: Path) -> None:
    for method, value in (("flowpg", 30), ("ddpg-projection", 70), ("ddpg-projection-target", 20)):
        for seed in (0, 1):
            save(copied, make_run_with_return("R+L2", method, seed, value + seed))
            save(copied, make_run_with_return("HC+O", "flowpg", seed, value + seed))
            save(copied, make_run_with_return("HC+O", "ddpg-projection", seed, value + seed))
    found = board_of(copied, methods=("flowpg", "ddpg-projection", "ddpg-projection-target")).found
    assert released_target(found, copied) == []
    (copied / "experiments").mkdir()
    over = "value above return, projected"
    rows = [
        (task, method, step, quantity, value, value - 10, value + 10, 3)
        for step in (50, 100)
        for method, raw in (("ddpg-projection", 1), ("ddpg-projection-target", 0))
        for task, quantity, value in (
            ("R+L2", over, 5 * raw),
            ("R+L2", "return", 5 * raw),
            ("HC+O", over, 200 * raw + step),
            ("HC+O", "return", 5 * raw),
        )
    ]
    columns = ["task", "method", "step", "quantity", "value", "low", "high", "n"]
    pd.DataFrame(rows, columns=columns).to_csv(copied / "experiments" / "x1.csv", index=False)
    text, said, table = released_target(found, copied)
    assert "trained both for 100 steps (n = 3;" in text
    assert "On R+L2, after 0% of the published steps, the intervals of the critics' errors overlap, and so" in text
    assert "err by 300 [290, 310] and 100 [90, 110] (the intervals do not overlap), as values minus" in text
    assert "Their policies return 5 [-5, 15] and 0 [-10, 10] (the intervals overlap)" in text
    assert said == "In the record, the mean returns differ by:"
    assert [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")] == [
        "task",
        "`ddpg-projection-target` minus `ddpg-projection`",
        "`flowpg` minus `ddpg-projection`",
        "`flowpg` minus `ddpg-projection-target`",
    ]
    (row,) = table.splitlines()[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["R+L2", "-50 [-53, -47]", "-40 [-43, -37]", "10 [7, 13]"]


def test_the_worst_case_is_the_lowest_mean_and_not_the_widest_interval() -> None:
    # R+L2 may be anything, from seeds with and without violations; HC+O is open for its few updates.
    world = World(updates=5_000).change([FLOW], ["R+L2"], missed=(2000, 40, 0))
    claim = world.change([FLOW], ["HC+O"], missed=(9000, 9100, 8900)).claims()["C2"]
    _, worst = extremes(claim)
    assert "(HC+O, " in worst
    assert worst.endswith("open: less than 10% of the published updates)")


def test_a_single_seed_is_no_extreme_case() -> None:
    world = World().change([FLOW], ["HC+O"], returns=(-1e6, -2e6, -3e6))
    _, worst = extremes(world.claims()["C4"])
    assert "(HC+O, " in worst
    world.missing = {("HC+O", FLOW, 1), ("HC+O", FLOW, 2)}
    _, worst = extremes(world.claims()["C4"])
    assert "n = 1" not in worst
