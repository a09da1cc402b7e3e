"""The report: one static site, read from disk."""
