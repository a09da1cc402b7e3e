"""All goldens by name, ``subject/file/golden``."""

from __future__ import annotations

from tests.golden import environments, families, flows, samplers, trajectories

SUBJECTS = (environments, families, flows, samplers, trajectories)
GOLDENS = {name: golden for subject in SUBJECTS for name, golden in subject.goldens().items()}
