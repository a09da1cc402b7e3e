"""Where a method's code is: in this repository, or in a package that offers it by an entry point."""

from __future__ import annotations

import importlib.metadata

from benchmark.provenance import OWN_PACKAGES, code_hash
from benchmark.submission.manifest import Adapter
from methods.base import ENTRY_POINTS, method_class


def find_adapter(method: str, source: str = "") -> Adapter:
    """The adapter of a method that is registered here.

    Args:
        method: Id of the method.
        source: Address of its repository.

    Raises:
        UnknownIdError: If there is no such method.
    """
    module = method_class(method).__module__
    facts = {"method": method, "module": module, "code_sha256": code_hash((module,)), "source": source}
    package = module.partition(".")[0]
    if package in OWN_PACKAGES:
        return Adapter(kind="repository", **facts)
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if entry_point.module.partition(".")[0] == package and entry_point.dist is not None:
            return Adapter(
                kind="package",
                package=entry_point.dist.name,
                version=entry_point.dist.version,
                entry_point=f"{entry_point.name} = {entry_point.value}",
                **facts,
            )
    return Adapter(kind="module", **facts)
