"""How Alembic reaches the database: by the connection and in the transaction it is given."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,  # SQLite's too, for the BEGIN is ours
    render_as_batch=True,
)
context.run_migrations()
