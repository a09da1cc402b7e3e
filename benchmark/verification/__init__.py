"""Verification: what a result or a submission can be caught at, and a run of it made again."""
