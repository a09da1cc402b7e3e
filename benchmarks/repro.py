"""Wall time and peak memory of ``make repro`` on a fresh clone, installation apart.

Run ``python benchmarks/repro.py FOLDER``; the clone is made in FOLDER and stays there. Memory is the largest sum of
resident sets over the whole process tree, read twice a second (shared pages count once a process).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


def measure(command: list[str], folder: Path, quiet: bool = False) -> tuple[int, float, int]:
    """Exit code, seconds and peak bytes of a command and all that it starts."""
    started, peak = time.perf_counter(), 0
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL if quiet else None)
    while process.poll() is None:
        total = 0
        for member in [process, *process.children(recursive=True)]:
            try:
                total += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak = max(peak, total)
        time.sleep(0.5)
    return process.returncode, time.perf_counter() - started, peak


def main() -> int:
    """Clone, set up, repro, and once more with nothing to do."""
    parser = argparse.ArgumentParser(description="Wall time and peak memory of `make repro` on a fresh clone.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    lines, codes = [], []
    for name, command in (
        ("make setup", ["make", "setup"]),
        ("make repro", ["make", "repro"]),
        ("make repro with nothing to do", ["make", "repro"]),
    ):
        code, seconds, peak = measure(command, folder)
        codes.append(code)
        lines.append(f"{name}: exit {code}, {seconds:.1f} s, peak memory {peak / 2**30:.2f} GiB")
    print("\n".join(lines))
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
