"""Who runs many runs: processes of this machine, or Ray."""
