"""Samplers of states like those visited in training, and of feasible actions.

::

    constraint = make_task("R+L2").constraint
    obs = torch.zeros((1000, 1), dtype=torch.float64)  # one row per chain; R+L2 does not read it
    samples = sample_hmc(constraint, obs, torch.Generator().manual_seed(0), HMCConfig(draws=100))
    samples.actions  # (100,000, 2)
    psdd = compile_linear([2, 3, 5], "<=", 30, upper=[10, 10, 10])
    psdd.models, psdd.sample(5, torch.Generator().manual_seed(0))
"""
