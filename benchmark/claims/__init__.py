"""Judges the claims of FlowPG by a profile's results; the rule is in docs/claims.md, one file a claim."""
