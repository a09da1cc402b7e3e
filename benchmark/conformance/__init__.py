"""The conformance suite: what a method or a task must do for a benchmark of it to mean something.

Each check is a test for pytest, in the files ``test_*.py``; ``acrl check`` runs them on any registered method or task.
They ask the real harness and the real environments, and take no plug-in's word for itself.
"""

from benchmark.conformance.running import assert_conforms

__all__ = ["assert_conforms"]
