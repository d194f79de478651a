"""Alembic migrations of the store; run by `usersim.corpus.store.schema`, never from a shell."""
