"""The hours that a profile's complete runs took, those of the reference returns included.

Run ``python -m benchmarks.hours [--profile P]``. It reads the results alone. Hours are wall-clock of training and
evaluation, one thread per run, on whatever machines made the runs; those of preparation are charged to each run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmark.records.config import load_params
from benchmark.records.results import read_run
from benchmark.records.runs import select


def main() -> int:
    """Print the number of complete runs and their hours."""
    parser = argparse.ArgumentParser(description="The hours that a profile's complete runs took.")
    parser.add_argument("--profile", default="small")
    given = parser.parse_args()
    paths = [run.path(Path("results")) for run in select(load_params(), given.profile, [], [])]
    spent = [result.seconds for path in paths if path.exists() and (result := read_run(path)).status == "complete"]
    hours = sum(seconds.total + seconds.evaluate for seconds in spent) / 3600
    print(f"{len(spent)} complete runs of {given.profile}: {hours:.1f} hours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
