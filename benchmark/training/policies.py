"""Trained policies: loaded from checkpoints of runs, exported as small self-contained files, and evaluated."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from benchmark.records.config import Params, RunConfig
from benchmark.records.keys import run_key
from benchmark.records.results import Evaluation, RunResult, ViolationCount, read_run
from benchmark.records.runs import Run, why_stale
from benchmark.records.store import KeptArtifacts, load_tensors, save_tensors
from benchmark.training.evaluation import Evaluator
from benchmark.training.meter import PolicyCounter
from benchmark.training.runs import artifacts_of
from envs.errors import UserError
from envs.registry import make_task
from envs.seeding import derive_seed
from methods.base import Method, make_method, method_class


class PolicyEvaluation(Evaluation):
    """Returns of a policy, and violations of its own outputs in the same episodes."""

    violations: ViolationCount


@dataclass(frozen=True)
class TrainedPolicy:
    """The last policy of a run.

    Attributes:
        run: The run.
        method: The method, ready to act.
        config: The run's configuration.
        artifacts: Files of the run's preparation, such as a flow; several policies may share one.
    """

    run: Run
    method: Method[Any]
    config: RunConfig
    artifacts: list[Path]

    @property
    def key(self) -> str:
        """Names the run that the policy comes from."""
        return run_key(self.method.task, type(self.method), self.config, self.run.seed)

    def __call__(self, obs: ArrayLike) -> NDArray[np.floating[Any]]:
        """The policy's raw action (n,) at an observation (o,), or actions (B, n) at (B, o); they may be infeasible."""
        rows = torch.as_tensor(np.array(obs, dtype=np.float64))
        if rows.ndim == 1:
            return self.method.act(rows[None], explore=False)[0].numpy()
        return self.method.act(rows, explore=False).numpy()

    def save(self, path: Path, key: str) -> None:
        """Write the parameters needed to act and the header for :func:`load_policy`, without the artifacts."""
        facts = {"task": self.run.task, "method": self.run.method, "seed": str(self.run.seed)}
        facts |= {"profile": self.run.profile, "run_key": key, "config": self.config.model_dump_json()}
        save_tensors(path, self.method.policy_dict(), facts)

    def evaluate(self, episodes: int, seed: int) -> PolicyEvaluation:
        """Evaluate the policy on ``episodes`` episodes, with infeasible actions projected."""
        torch.set_num_threads(1)
        seeds = [derive_seed(seed, "evaluate", k) for k in range(episodes)]
        counter = PolicyCounter(self.method.task.constraint)
        with closing(Evaluator(self.method.task)) as evaluator:
            found = evaluator.evaluate(self.method, self.config.steps, seeds, counter)
        return PolicyEvaluation(**found.model_dump(), violations=counter.tally.record())


def find_policy(path: Path, params: Params, results: Path) -> TrainedPolicy:
    """The last policy of a run, from an exported file or from the run's JSON.

    Raises:
        UserError: If there is no policy, a file is damaged, or the run is stale.
    """
    if path.suffix == ".safetensors":
        return load_policy(path)
    result = read_run(path)
    out = path if path.with_suffix(".safetensors").exists() else None
    run = Run(result.profile, result.task, result.method, result.seed, tuple(result.provenance.given or ()), out)
    if run.path(results).resolve() != path.resolve():
        raise UserError(f"{path} is not in {results}, where its policy would be: name its folder with --results")
    if result.run_key != run.key(params):
        raise UserError(f"{run.path(results)} is stale ({why_stale(result, run, params)}): run it again")
    if not run.checkpoint(results).exists() and not run.given and run.policy(results).exists():
        policy = load_policy(run.policy(results))
        if policy.key != result.run_key:
            raise UserError(f"{run.policy(results)} belongs to another run than {path}: export it again")
        return policy
    return from_checkpoint(run, result, results)


def from_checkpoint(run: Run, result: RunResult, results: Path) -> TrainedPolicy:
    """The last policy of a run, from its checkpoint on the machine that made the run.

    Raises:
        UserError: If the checkpoint is missing, damaged, or of another run.
    """
    if not run.checkpoint(results).exists():
        command = f"acrl run {run.task} {run.method} --seed {run.seed} -p {run.profile} --results FOLDER"
        raise UserError(
            f"no checkpoint {run.checkpoint(results)}: checkpoints are not in git. "
            f"Make the run again with `{command}`, and evaluate its JSON there with `--results FOLDER`"
        )
    state, facts = load_tensors(run.checkpoint(results))
    if facts.get("run_key") != result.run_key:
        raise UserError(f"{run.checkpoint(results)} belongs to another run than the result: run it again")
    try:
        config = RunConfig.model_validate(result.config)
    except ValidationError as error:
        raise UserError(f"{run.path(results)} is damaged: its config is invalid; run it again") from error
    task = make_task(run.task)
    given = "".join(f" {option.replace('=', ' ', 1)}" for option in run.given)
    again = f"acrl run {run.task} {run.method} --seed {run.seed} -p {run.profile}{given} --force"
    advice = f"the policy acts through it: make both again with `{again}`"
    artifacts = KeptArtifacts(artifacts_of(run, results), task, advice)
    method = make_method(run.method, task, config.method, run.seed)
    method.prepare(artifacts)
    method.load_state_dict(state)
    return TrainedPolicy(run, method, config, artifacts.used)


def load_policy(path: Path) -> TrainedPolicy:
    """A policy from a file that `acrl export` wrote; a flow that it acts through is in a folder next to it.

    Raises:
        UserError: If the file is missing, damaged, of another kind, or of another version of the task or method.
    """
    state, facts = load_tensors(path)
    try:
        run = Run(facts["profile"], facts["task"], facts["method"], int(facts["seed"]))
        config = RunConfig.model_validate(json.loads(facts["config"]))
        key = facts["run_key"]
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is not a policy that `acrl export` wrote: give such a file or a run's JSON") from error
    task = make_task(run.task)
    if run_key(task, method_class(run.method), config, run.seed) != key:
        raise UserError(f"{path} has another version of {run.task} or {run.method} than this package: export it again")
    # Only the folder is resolved: the file may be a link into a cache.
    folders = (path.parent.resolve() / path.name).parents
    advice = "the policy acts through it, and `acrl export` writes both: keep their folders together"
    artifacts = KeptArtifacts(folders[min(2, len(folders) - 1)], task, advice)
    method = make_method(run.method, task, config.method, run.seed)
    method.prepare(artifacts)
    method.load_policy_dict(state)
    return TrainedPolicy(run, method, config, artifacts.used)
