"""Submissions: the runs of a method in one file, packed and read again."""
