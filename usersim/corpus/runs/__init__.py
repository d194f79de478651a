"""Runs: long lists of requests, what was answered of them, and what failed."""
