"""Figures of a profile."""
