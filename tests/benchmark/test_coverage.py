"""States visited against those that a flow was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch

from benchmark.publishing.tables.writing import write_tables
from benchmark.records.store import save_tensors
from benchmark.training.meter import Clock, MeteredConstraint
from envs import make_task
from envs.sampling.dataset import draw_dataset
from methods.base import list_methods, make_method
from methods.flowpg import FlowPGBase
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import flow_state, make_flow
from tests.benchmark.factories import PROFILE, SEEDS, make_run, save

TASK = "HC+O"
FLOW = RealNVPConfig(hidden=(4,), layers=2)


def measured(tmp_path: Path, *, flow: bool) -> pd.DataFrame:
    """The table's numbers: two runs that visited held-out states, one of them with a flow if there is one."""
    folder, task = tmp_path / PROFILE, make_task(TASK)
    samples = draw_dataset(task, 2000, 1000, 200, seed=0)
    save_tensors(folder / f"samples/{TASK}.safetensors", samples, {})
    visited = samples["test_context"][:50].tolist()
    for seed in SEEDS:
        save(folder, make_run(TASK, "nfw", seed, visited=visited))
        if flow:
            config = make_run(TASK, "flowpg", seed).config
            config["method"] = {**config.get("method", {}), "flow": FLOW.model_dump(mode="json")}
            save(folder, make_run(TASK, "flowpg", seed, visited=visited, config=config))
    if flow:
        made = make_flow(task, FLOW)
        made.fit_context(samples["train_context"])
        save_tensors(folder / f"flows/flowpg/{TASK}.safetensors", flow_state(made, {}), {})
    write_tables(folder, PROFILE, [TASK], ["flowpg", "nfw"], SEEDS)
    return pd.read_csv(folder / "tables/coverage.csv")


def test_held_out_states_are_covered_and_the_flow_is_judged_there(tmp_path: Path) -> None:
    numbers = measured(tmp_path, flow=True).set_index(["method", "quantity"])["mean"].sort_index()
    for method in ("nfw", "flowpg"):
        assert numbers[method, "near"].item() > 0.9
        assert (numbers[method, "valid there"] > 0).all()


def test_without_a_flow_its_validity_is_left_open(tmp_path: Path) -> None:
    numbers = measured(tmp_path, flow=False)
    own = numbers[numbers["method"] == "nfw"].set_index("quantity")["mean"]
    assert own["near"].item() > 0.9
    assert own["valid there"].isna().all()
    assert "—" in (tmp_path / PROFILE / "tables/coverage.md").read_text()


def test_the_harness_s_constraint_makes_the_same_flow() -> None:
    # What the harness hands to a method is wrapped, and a flow that looked at its class would be another one.
    for task_id in ("R+L2", TASK, "H+M", "BSS-3"):
        task = make_task(task_id)
        metered = replace(task, constraint=cast(Any, MeteredConstraint(task.constraint, Clock())))
        for method_id in list_methods():
            method = make_method(method_id, task, {})
            if isinstance(method, FlowPGBase):
                plain, wrapped = (make_flow(some, method.config.flow) for some in (task, metered))
                shapes = [{k: v.shape for k, v in flow.state_dict().items()} for flow in (plain, wrapped)]
                assert shapes[0] == shapes[1]
                latent = torch.zeros((1, plain.dim))
                context = torch.ones((1, len(task.constraint.context_indices)))
                assert torch.equal(plain(latent, context), wrapped(latent, context))
