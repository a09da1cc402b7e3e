"""Names of what a number comes from: the runs of a task and method, a report on a flow, a timing, an experiment."""

from __future__ import annotations

from pathlib import Path

from benchmark.records.results import report_path
from benchmark.records.timing_report import timing_path

HERE = Path()


def of_runs(task: str, method: str) -> str:
    """The complete runs of a task and method."""
    return f"{task}/{method}"


def of_flow(task: str, method: str, states: str = "sampled") -> str:
    """The report on a flow; ``states`` is "sampled" or "visited"."""
    return report_path(HERE, method, task, states).as_posix()


def of_timing(task: str) -> str:
    """The timing of a task's training steps."""
    return timing_path(HERE, task).as_posix()


def of_experiment(name: str) -> str:
    """The numbers of an experiment."""
    return f"experiments/{name}.csv"
