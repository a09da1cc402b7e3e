"""How far long work is, and the time left."""

from __future__ import annotations

import io
import multiprocessing
import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from tqdm import tqdm

# How often progress is said where there is no terminal to draw it on.
LINE_SECONDS = 60.0


def progress_bar(total: int, description: str = "", unit: str = "step") -> tqdm[NoReturn]:
    """A bar with the time left, or without a terminal a line a minute; hidden in processes that work side by side."""
    bar = partial(tqdm, total=total, unit=unit, desc=description and f"{description}: ", smoothing=0.05)
    if multiprocessing.parent_process():
        return bar(disable=True)
    if sys.stderr.isatty():
        return bar()
    layout = "{desc}{percentage:.0f}% of {total_fmt} {unit}s, {remaining} left"
    return bar(file=_Lines(), bar_format=layout, delay=LINE_SECONDS, mininterval=LINE_SECONDS, leave=False)


class _Lines(io.StringIO):
    """Writes what tqdm draws in place as lines of their own, to stderr."""

    def write(self, text: str) -> int:
        if line := text.strip():
            sys.stderr.write(f"{line}\n")
        return len(text)


def move_to(bar: tqdm[NoReturn]) -> Callable[[int], None]:
    """A function that moves a progress bar to a number of steps."""

    def move(step: int) -> None:
        if bar.n == 0:
            skip(bar, step)
        else:
            bar.update(step - bar.n)

    return move


def skip(bar: tqdm[NoReturn], steps: int) -> None:
    """Move a bar by steps that do not count for the time left: the first of a run, or those that died with a process.

    Before its first steps, a run trains its flow or goes on from a checkpoint, so they tell nothing about the rate.
    """
    if not bar.disable:
        bar.initial += steps
        bar.last_print_n += steps
        bar.unpause()
    bar.n += steps
