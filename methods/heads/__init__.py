"""Action heads: maps from an actor's output to an action, one file each."""
