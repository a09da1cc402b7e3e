"""Normalizing flows from the box [-1, 1]^d onto C(s), and their training."""
