"""Makes results: the harness, its counting and repair, evaluation, checkpoints, flows, timing and executors."""
