"""The claims of FlowPG, each held against what was measured."""
