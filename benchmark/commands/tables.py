"""``acrl tables``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.commands.output import json_option, show_paths


@click.command()
@profile_option
@results_option
@json_option
def tables(profile: str, results: Path, as_json: bool) -> None:
    """Make tables, figures and the verdicts on FlowPG's claims from a profile's result files."""
    from benchmark.analysis.claims.claims import evaluate_claims
    from benchmark.analysis.leaderboard import read_leaderboard
    from benchmark.commands.stale import warn_of_stale
    from benchmark.publishing.claims.page import write_claims
    from benchmark.publishing.figures.curves import write_figures
    from benchmark.publishing.tables.writing import write_tables
    from benchmark.records.config import load_params
    from benchmark.records.missing import check_runs

    params = load_params()
    check_runs(profile, results)
    board = read_leaderboard(results / profile, params.profile(profile))
    warn_of_stale(params, board.found, results)
    folder = results / profile
    paths = [*write_tables(board, folder), *write_figures(board, folder)]
    paths += write_claims(evaluate_claims(board.found, folder), folder)
    show_paths(paths, as_json, profile=profile)
