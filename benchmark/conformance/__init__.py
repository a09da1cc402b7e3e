"""The conformance suite: what a method or a task must do for a benchmark of it to mean something.

Each check is one small function that returns what is worth knowing of a pass and raises for a failure; ``suite.py``
puts them together. It asks the real harness and the real environments, and takes no plug-in's word for itself.
"""

from benchmark.conformance.suite import assert_conforms, check_plugin

__all__ = ["assert_conforms", "check_plugin"]
