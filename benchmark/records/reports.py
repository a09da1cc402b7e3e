"""Reports on flows, visited states and timing, and the names of the results that numbers come from."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from benchmark.records.results import File, Record

# Where latents are drawn: in the box, or on its boundary.
LATENTS = ("uniform", "boundary")


class FlowReport(File):
    """Quality of a trained flow on held-out states and feasible actions.

    Attributes:
        task: Id of the task.
        flow: Id of the method whose flow it is.
        profile: Profile of ``params.yaml``.
        draws: Latents drawn for each share.
        validity: Share of f(z; s) in C(s), by kind of latent (``uniform`` in the box, ``boundary`` of the box) and
            tolerance.
        recall: Share of feasible actions whose latent lies in the box.
        curve: Over training: ``update``, and ``test_nll``, the held-out negative log-likelihood [nats]. Compare it only
            within a flow: RealNVP's leaves out log(1 + 1/steepest) per dimension, the mass of its base density's edge.
        seconds: Time to draw the samples and to train [s].
        artifact_key: SHA-256 of everything the flow depends on; empty in older files.
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

    def shares(self) -> list[dict[str, float]]:
        """All shares of valid actions by tolerance."""
        return list(self.validity.values())


class VisitedReport(File):
    """Validity of a trained flow at the states that policies trained with it visit at the end of training.

    Attributes:
        task: Id of the task.
        flow: Id of the method whose flow it is.
        profile: Profile of ``params.yaml``.
        draws: Latents drawn for each share.
        validity: As in :class:`FlowReport`, at the states of each policy, by its seed.
        run_keys: ``run_key`` of each policy's run, by its seed; empty in older files.
    """

    task: str
    flow: str
    profile: str
    draws: int
    validity: dict[str, dict[str, dict[str, float]]]
    run_keys: dict[str, str] = Field(default_factory=dict)

    def shares(self) -> list[dict[str, float]]:
        """All shares of valid actions by tolerance."""
        return [shares for by_latent in self.validity.values() for shares in by_latent.values()]

    def at(self, latent: str, tolerance: float) -> list[float]:
        """The shares of the policies, one each, for a kind of latent and a tolerance."""
        return [shares[latent][f"{tolerance:g}"] for shares in self.validity.values()]


class StateCoverage(Record):
    """How well the training states of a flow cover the states that one run visited.

    Attributes:
        within_range: Share of visited states within the range of the training states in every coordinate.
        near: Share of visited states as near to a training state as 99% of the held-out states are.
            In both, training and held-out states are those of rollouts, without the widened ones.
        valid: Share of f(z; s) in C(s) at the visited states, by tolerance; z is uniform in the box.
        run_key: ``run_key`` of the run; empty in older files.
    """

    within_range: float
    near: float
    valid: dict[str, float]
    run_key: str = ""


class CoverageReport(File):
    """States that runs visited, against the training states of the task's ``flowpg`` flow.

    Attributes:
        task: Id of the task.
        profile: Profile of ``params.yaml``.
        draws: Latents drawn for each share.
        runs: A :class:`StateCoverage` by method and seed.
    """

    task: str
    profile: str
    draws: int
    runs: dict[str, dict[str, StateCoverage]]


def report_path(folder: Path, method: str, task: str, states: str = "sampled") -> Path:
    """Path of the report on a flow in ``results/<profile>``; ``states`` is "sampled" or "visited"."""
    return folder / ("flows" if states == "sampled" else "visited") / method / f"{task}.json"


def coverage_path(folder: Path, task: str) -> Path:
    """Path of a task's coverage report in ``results/<profile>``."""
    return folder / "visited" / f"{task}.json"


class TimedRound(Record):
    """A round of training, timed by itself: seconds per step.

    Attributes:
        act: Choosing actions [s].
        project: All projections [s].
        env: The simulator [s].
        update: Learning, without projections [s].
        other: The harness [s].
        busy_cores: Cores that everything else kept busy, on average.
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
    """Time of a training step of each method on one task. Methods take turns, one at a time.

    Attributes:
        task: Id of the task.
        profile: Profile of ``params.yaml``.
        steps: Training steps per round, each with an update.
        rounds: Rounds of each method.
        solvers: What projects, by method: ``exact`` or ``cvxpy``.
        flows: Methods that train a flow first, outside the rounds.
        keys: SHA-256 of everything that a method's steps depend on, by method.
    """

    task: str
    profile: str
    steps: int
    rounds: dict[str, list[TimedRound]]
    solvers: dict[str, str]
    flows: list[str]
    keys: dict[str, str]


def timing_path(folder: Path, task: str) -> Path:
    """Path of a task's timing in ``results/<profile>``."""
    return folder / "timing" / f"{task}.json"


HERE = Path()


def of_runs(task: str, method: str) -> str:
    """Name of the complete runs of a task and method."""
    return f"{task}/{method}"


def of_flow(task: str, method: str, states: str = "sampled") -> str:
    """Name of the report on a flow; ``states`` is "sampled" or "visited"."""
    return report_path(HERE, method, task, states).as_posix()


def of_timing(task: str) -> str:
    """Name of the timing of a task."""
    return timing_path(HERE, task).as_posix()


def of_experiment(name: str) -> str:
    """Name of the numbers of an experiment."""
    return f"experiments/{name}.csv"
