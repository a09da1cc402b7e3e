"""Draws the picture at the top of README.md: the feasible actions of R+O10 at one state, and what projection does.

    python -m benchmarks.set_picture

Everything drawn is computed by the constraint itself; the same constraint gives the same bytes.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from envs import make_task

PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "projection.svg"
# Joint velocities of the state that is shown, in rad/s.
VELOCITIES = (0.85, 1.6)
WANTED = ((-0.9, 0.75), (0.2, 0.95), (0.85, 0.8), (0.85, -0.75), (-0.35, -0.9))
KEPT = ((-0.3, 0.2), (0.45, -0.15))
RAYS = 180
# Pixels of a unit of action, and of the middle of the picture.
UNIT, MIDDLE = 120, 150
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1c2024}.box{fill:none;stroke:#5b6470;stroke-dasharray:4 4}"
    ".set{fill:#56b4e9;fill-opacity:.45;stroke:#0b57a4;stroke-width:2}.way{stroke:#0b57a4;stroke-width:2}"
    ".wanted{stroke:#d55e00;stroke-width:3}.done{fill:#0b57a4}"
    "@media(prefers-color-scheme:dark){text{fill:#e8ebee}.box{stroke:#a7b0ba}.set,.way{stroke:#7fb8ff}"
    ".done{fill:#7fb8ff}}"
)


def draw() -> str:
    """The picture as SVG, in the colours of light and dark pages."""
    constraint = make_task("R+O10").constraint
    obs = torch.zeros(1, 10, dtype=torch.float64)
    obs[0, 6:8] = torch.tensor(VELOCITIES)
    angles = torch.linspace(0, 2 * math.pi, RAYS + 1, dtype=torch.float64)[:-1]
    rays = torch.stack([angles.cos(), angles.sin()], dim=1)
    edge = rays / constraint.gauge(rays, obs.expand(RAYS, -1))[:, None]
    wanted, kept = (torch.tensor(points, dtype=torch.float64) for points in (WANTED, KEPT))
    executed = constraint.project(wanted, obs.expand(len(wanted), -1))
    outline = " ".join(f"{x},{y}" for x, y in map(place, edge))
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 300" width="520" height="300" role="img">',
        f"<title>Feasible actions of R+O10, {constraint.formula()}, at one state, and their projection</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="box" x="{MIDDLE - UNIT}" y="{MIDDLE - UNIT}" width="{2 * UNIT}" height="{2 * UNIT}"/>',
        f'<polygon class="set" points="{outline}"/>',
    ]
    for start, end in zip(map(place, wanted), map(place, executed), strict=True):
        lines.append('<line class="way" x1="{}" y1="{}" x2="{}" y2="{}"/>'.format(*start, *end))
        lines += [cross(*start), dot(*end)]
    lines += [dot(*place(point)) for point in kept]
    lines += [
        cross(310, 60),
        '<text x="326" y="65">what the policy asks for</text>',
        '<line class="way" x1="300" y1="95" x2="320" y2="95"/>',
        '<text x="326" y="100">projection: nearest feasible</text>',
        dot(310, 130),
        '<text x="326" y="135">what is executed</text>',
        '<rect class="set" x="301" y="156" width="18" height="18"/>',
        '<text x="326" y="170">C(s): feasible at this state</text>',
        '<rect class="box" x="301" y="191" width="18" height="18"/>',
        '<text x="326" y="205">action box: every action</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def place(action: Tensor) -> tuple[str, str]:
    """Where an action (2,) lies in the picture."""
    x, y = action.tolist()
    return f"{MIDDLE + UNIT * x:.1f}", f"{MIDDLE - UNIT * y:.1f}"


def cross(x: float | str, y: float | str) -> str:
    """An action that is asked for."""
    return f'<path class="wanted" d="M{x} {y}m-5-5l10 10m0-10l-10 10"/>'


def dot(x: float | str, y: float | str) -> str:
    """An action that is executed."""
    return f'<circle class="done" cx="{x}" cy="{y}" r="5"/>'


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
    print(PICTURE)
