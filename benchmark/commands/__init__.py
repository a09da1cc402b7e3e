"""Commands of ``acrl`` with a file of their own; ``benchmark/cli.py`` puts them together."""
