"""The experiments of the paper and its open points: one file each, found through ``catalogue.EXPERIMENTS``."""
