"""Benchmarks: each figure against a floor measured in the same run, never a bare number of seconds."""
