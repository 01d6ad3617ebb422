"""Count what has happened to the server's catalogues, which costs the same however many tables there are."""

from __future__ import annotations

from holdfast.adapters.postgres.connect import Connection

# What is created only adds rows. An enum's label and a type's attribute are added to what was there before; ANALYZE
# changes statistics, and dependencies and large objects are no definitions.
_CHANGES = """
    SELECT pg_catalog.sum(n_tup_upd + n_tup_del + CASE WHEN relname = 'pg_enum' THEN n_tup_ins ELSE 0 END)::bigint,
           pg_catalog.current_setting('track_counts')::boolean
    FROM pg_catalog.pg_stat_sys_tables
    WHERE schemaname = 'pg_catalog' AND relname NOT IN (
        'pg_statistic', 'pg_statistic_ext_data', 'pg_depend', 'pg_shdepend', 'pg_largeobject',
        'pg_largeobject_metadata')
"""


def changes(connection: Connection) -> int | None:
    """
    Return a number that grows whenever a definition is changed or removed; nothing where the server does not count.

    Sessions tell what they did when they are done with it, a second later at most.
    """
    row = connection.execute(_CHANGES).fetchone()
    return int(row[0]) if row and row[1] and row[0] is not None else None
