"""How many runs an hour two workers make against one, with the same runs, and what the start of a worker costs.

Run ``python benchmarks/workers.py [--runs N] [--steps N]`` on a machine with two cores that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import yaml

from benchmark.training.processes import prepared_context
from envs import make_task
from methods import make_method

ROOT = Path(__file__).resolve().parents[1]
ACRL = (sys.executable, "-c", "from benchmark.cli import main; main()")
JOBS = (1, 2)


def seconds_of(jobs: int, runs: int, steps: int) -> float:
    """Wall-clock of one sweep, with the start of its processes."""
    profile = yaml.safe_load((ROOT / "params.yaml").read_text())["profiles"]["quick"]
    profile |= {"tasks": ["R+L2"], "flow_methods": [], "plain_methods": ["ddpg-projection"], "methods_config": {}}
    profile |= {"seeds": list(range(runs)), "steps": steps}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "params.yaml").write_text(yaml.safe_dump({"profiles": {"quick": profile}}))
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started = time.perf_counter()
        subprocess.run([*ACRL, "sweep", "-p", "quick", "-j", str(jobs)], cwd=folder, env=environment, check=True)
        return time.perf_counter() - started


def start_costs() -> tuple[float, float]:
    """Seconds until the first worker of a sweep has a method to train, and of CPU that each worker takes for that."""
    started = time.perf_counter()
    with ProcessPoolExecutor(1, prepared_context()) as pool:
        pool.submit(cpu_seconds_to_a_method).result()
        seconds = time.perf_counter() - started
    with ProcessPoolExecutor(1, prepared_context()) as pool:
        return seconds, pool.submit(cpu_seconds_to_a_method).result()


def cpu_seconds_to_a_method() -> float:
    """Make one; the seconds of CPU that this process has taken."""
    make_method("nfw", make_task("R+L2"))
    return time.process_time()


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Two workers against one.")
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=6000)
    given = parser.parse_args()
    seconds = {jobs: seconds_of(jobs, given.runs, given.steps) for jobs in JOBS}
    for jobs, spent in seconds.items():
        print(f"{jobs} at a time: {given.runs} runs of {given.steps:,} steps in {spent:.1f} s")
    print(f"runs an hour: {seconds[1] / seconds[2]:.2f}x")
    first, each = start_costs()
    print(f"first worker ready after {first:.1f} s; each takes {each:.2f} s of CPU for it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
