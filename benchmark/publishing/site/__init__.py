"""The report as one static site."""
