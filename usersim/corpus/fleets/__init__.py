"""Fleets in the store: which person's task waits, runs, is done or failed."""
