"""Whether the code of a submission's methods is here, and is what the submission says it is."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.submission.adapter import find_adapter
from benchmark.submission.manifest import Adapter
from benchmark.verification.report import Findings
from methods.base import list_methods

# A method of this repository that is not here is missing: its file comes with the pull request, and is read there.
OWN = "repository"


def check_adapters(adapters: Sequence[Adapter], found: Findings) -> frozenset[str]:
    """That no method passes for one of this repository; methods of others whose code is not installed here."""
    here = list_methods()
    known = {one.method: find_adapter(one.method) for one in adapters if one.method in here}
    problems = [
        f"'{one.method}' is of {described(one)}, and here of {described(known[one.method])}: choose another id for it"
        for one in adapters
        if one.method in known and (one.kind == OWN) != (known[one.method].kind == OWN)
    ]
    absent = [one for one in adapters if one.method not in here and one.kind != OWN]
    warnings = [
        f"'{one.method}' of {described(one)} is not installed here, so that its own settings are not compared and none "
        "of its runs is made again: install it, and verify again"
        for one in absent
    ]
    if problems or not warnings:
        found.conclude("adapter", problems, "the code of every method is where the manifest says")
    if warnings:
        found.conclude("adapter", warnings, "", "warning")
    return frozenset(one.method for one in absent)


def described(adapter: Adapter) -> str:
    """Where a method's code is, in words."""
    if adapter.kind == OWN:
        return "this repository"
    return f"package {adapter.package} {adapter.version}" if adapter.package else f"module {adapter.module}"
