"""Refuse sources with names that a backup could not carry."""

from __future__ import annotations

from psycopg.errors import CharacterNotInRepertoire

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint import fingerprint
from holdfast.adapters.postgres.marks import TABLES
from holdfast.errors import SourceRefused

NO_ENCODING = "SQL_ASCII"

# What a restore keeps there while it runs; backups leave that schema out.
_OURS = ", ".join(f"'{name}'" for name in TABLES)
_FOREIGN = f"""
    SELECT c.relname FROM pg_catalog.pg_class c
    WHERE c.relnamespace = pg_catalog.to_regnamespace('holdfast_restore')
      AND c.relkind NOT IN ('i', 'I', 't', 'c') AND c.relname NOT IN ({_OURS})
    UNION ALL
    SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.pronamespace = pg_catalog.to_regnamespace('holdfast_restore')
    LIMIT 1
"""  # noqa: S608  # constants only


def refuse_unspeakable(connection: Connection) -> None:
    """Raise `SourceRefused` where names would be lost: others' in our schema, or in no encoding that is known."""
    if connection.execute(_FOREIGN.encode()).fetchone():
        raise SourceRefused(
            "The schema holdfast_restore holds something that is not Holdfast's, which backups would leave out.",
            hint="Rename that schema.",
        )
    if connection.info.parameter_status("server_encoding") != NO_ENCODING:
        return
    try:
        fingerprint(connection)
    except CharacterNotInRepertoire as error:
        raise SourceRefused(
            "The database has the encoding SQL_ASCII, and its schema holds names or texts that are not UTF-8.",
            hint="Rename them, or move the database to an encoding that says what its bytes mean.",
        ) from error
