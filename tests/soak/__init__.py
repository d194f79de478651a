"""Attacks that go on until the time is up: `make soak`. A short slice of each runs in CI."""
