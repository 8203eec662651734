"""Batch schedulers: each command is a small class, its command line and a pure parser."""
