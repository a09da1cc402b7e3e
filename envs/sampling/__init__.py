"""Samplers: states that cover those visited, and feasible actions at them."""
