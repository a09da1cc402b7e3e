"""Samplers of states like those visited in training, and of feasible actions."""
