"""Peak memory of each sampler and of flow training, each in a process of its own.

Run ``python -m benchmarks.memory``. Samplers draw 1,000,000 actions. Flows are trained on profile small's 500,000
samples and as many held out, for 300 updates: what is held does not depend on how many there are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.repro import measure

ROOT = Path(__file__).resolve().parent.parent
COUNT = "1000000"
SAMPLERS = (("HC+O", "rejection"), ("HC+O", "hmc"), ("H+M", "hmc"), ("W+M", "hmc"), ("BSS-5", "psdd"))
FLOWS = ("flowpg", "flowpg-spline", "flowpg-gauge")
TASKS = ("R+L2", "HC+O", "W+M", "BSS-5")


def settings(folder: Path) -> None:
    """Profile small with few updates, in a params.yaml of its own."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for method in FLOWS:
        params["profiles"]["small"]["methods_config"][method]["flow"]["updates"] = 300
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def main() -> int:
    """Print one line a command."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    acrl = str(Path(sys.executable).with_name("acrl"))
    print("| command | exit code | seconds | peak memory [GiB] |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings(folder)
        commands = [["sample", task, "--sampler", sampler, "--n", COUNT] for task, sampler in SAMPLERS]
        commands += [["flows", task, "-p", "small", "--method", flow] for task in TASKS for flow in FLOWS]
        for command in commands:
            code, seconds, peak = measure([acrl, *command], folder, quiet=True)
            print(f"| `acrl {' '.join(command)}` | {code} | {seconds:.0f} | {peak / 2**30:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
