"""Reports beside runs, on flows, states and timing; and names of what numbers come from."""

from __future__ import annotations

from pathlib import Path

from benchmark.records.results import File, Record, report_path


class TimedRound(Record):
    """A stretch of training by itself: seconds a step by part.

    Attributes:
        other: What no part accounts for: the harness itself.
        busy_cores: Cores that everything else on the machine kept busy meanwhile, on average.
    """

    act: float
    project: float
    env: float
    update: float
    other: float
    busy_cores: float

    @property
    def step(self) -> float:
        """Seconds of a whole step."""
        return self.act + self.project + self.env + self.update + self.other


class TimingReport(File):
    """What a training step of each method costs on one task, measured serially, in turns.

    Attributes:
        steps: Training steps of each round, every one with an update.
        rounds: By method.
        solvers: Who projects, by method.
        flows: Methods that train a flow first, which is in no round.
        keys: What each method's steps depend on, as one hash.
    """

    task: str
    profile: str
    steps: int
    rounds: dict[str, list[TimedRound]]
    solvers: dict[str, str]
    flows: list[str]
    keys: dict[str, str]


def timing_path(folder: Path, task: str) -> Path:
    """Where the timing of a task lies below ``results/<profile>``."""
    return folder / "timing" / f"{task}.json"


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
