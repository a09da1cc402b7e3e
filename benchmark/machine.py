"""The machine and the libraries that results were made with, and whether they are the same."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.results import Provenance

ALWAYS_STATED = ("processor", "accelerator", "threads")
# Results made before these were noted compare by the others.
STATED_SINCE = ("cores", "memory_gib", "platform")


def machine_of(provenance: Provenance) -> str:
    """What wall-clock depends on besides the program, in words."""
    threads = f"{provenance.threads} thread" + ("" if provenance.threads == 1 else "s")
    cores = f"{provenance.cores} core" + ("" if provenance.cores == 1 else "s") if provenance.cores else ""
    memory = f"{provenance.memory_gib} GiB" if provenance.memory_gib else ""
    machine = f"machine {provenance.machine}" if provenance.machine else ""
    said = (provenance.processor, provenance.accelerator, cores, memory, provenance.platform)
    return ", ".join(part for part in (*said, threads, machine) if part)


def one_machine(origins: Iterable[Provenance]) -> bool:
    """Whether results are of one machine as far as they say: no two differ in anything that both state."""
    known = list(origins)
    stated = [[getattr(origin, name) for origin in known] for name in ALWAYS_STATED]
    stated += [[value for one in known if (value := getattr(one, name)) is not None] for name in STATED_SINCE]
    return all(len(set(values)) <= 1 for values in stated)


def mixed_libraries(origins: Iterable[Provenance]) -> list[str]:
    """Libraries of which results state different versions, with these: ``"torch 1.13.1 and 2.13.0"``."""
    stated: dict[str, set[str]] = {}
    for origin in origins:
        for name, version in origin.versions.items():
            stated.setdefault(name, set()).add(version)
    return [f"{name} {' and '.join(sorted(found))}" for name, found in sorted(stated.items()) if len(found) > 1]
