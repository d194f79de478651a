"""Pages of a store, for people who look at it."""
