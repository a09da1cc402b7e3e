"""Verification: what a result can be caught at, and a run made again."""
