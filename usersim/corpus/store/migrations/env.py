"""Alembic's entry: runs the migrations on the connection that the caller gives.

There is no ini file and no offline mode; `usersim.corpus.store.schema` is the only caller, and its
transaction is the one that the migrations run in.
"""

from alembic import context

from usersim.corpus.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # The caller holds the transaction: all revisions together, or none.
    transactional_ddl=False,
)
context.run_migrations()
