"""Reports beside runs, on flows, states and timing; and names of what numbers come from."""

from __future__ import annotations

from pathlib import Path

from benchmark.records.results import File, Record


class FlowReport(File):
    """Quality of one trained flow on states and feasible actions that it was not trained on.

    Attributes:
        flow: The method whose flow it is.
        draws: Latents drawn for each share.
        validity: Kind of latent ("uniform" in the box, "boundary" of the box) -> tolerance -> share of f(z; s) in C(s).
        recall: Share of feasible actions whose latent lies in the box.
        curve: Held-out negative log-likelihood over training.
        seconds: What drawing the samples and training took.
        artifact_key: Of the flow: what it depends on, as one hash. Empty where it was not noted.
    """

    task: str
    flow: str
    profile: str
    draws: int
    validity: dict[str, dict[str, float]]
    recall: float
    curve: dict[str, list[float]]
    seconds: float
    artifact_key: str = ""


class VisitedReport(File):
    """Validity of one trained flow at states that the policies trained with it visit at the end of training.

    Attributes:
        seeds: Seeds of those policies.
        states: Different states drawn from.
        draws: Latents drawn for each share.
        validity: As in :class:`FlowReport`.
    """

    task: str
    flow: str
    profile: str
    seeds: list[int]
    states: int
    draws: int
    validity: dict[str, dict[str, float]]


class StateCoverage(Record):
    """How well the states that one run visited are covered by those that a flow was trained on.

    Attributes:
        within_range: Share of states within the range of training in every coordinate.
        near: Share as near to a training state as 99% of the held-out states are.
        valid: Tolerance -> share of f(z; s) in C(s) at those states, z uniform in the box.
    """

    within_range: float
    near: float
    valid: dict[str, float]


class CoverageReport(File):
    """States visited in training against those that the task's ``flowpg`` flow was trained on.

    Attributes:
        draws: Latents drawn for each share.
        runs: Method -> seed -> what was measured.
    """

    task: str
    profile: str
    draws: int
    runs: dict[str, dict[str, StateCoverage]]


def report_path(folder: Path, method: str, task: str, states: str = "sampled") -> Path:
    """Where the report on a flow lies below ``results/<profile>``; ``states`` is "sampled" or "visited"."""
    return folder / ("flows" if states == "sampled" else "visited") / method / f"{task}.json"


def coverage_path(folder: Path, task: str) -> Path:
    """Where the coverage of a task's states lies below ``results/<profile>``."""
    return folder / "visited" / f"{task}.json"


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
