"""Pictures of what is feasible, and episodes."""
