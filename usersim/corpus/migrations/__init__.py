"""Alembic migrations of the store; run by `usersim.corpus.schema`, never from a shell."""
