"""Read sequences, which no snapshot binds, and see whether one was set back meanwhile."""

from __future__ import annotations

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.reading import sequence_values
from holdfast.contracts.manifest import Sequence

# As pg_dump chooses them: those of extensions only where these name them as theirs to be dumped.
_FROM = """
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
    LEFT JOIN pg_catalog.pg_depend d
      ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE c.relkind = 'S' AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'holdfast_restore')
      AND (e.oid IS NULL OR c.oid = ANY (e.extconfig))
"""
_LISTED = f"SELECT n.nspname, c.relname {_FROM} ORDER BY 1, 2"
# RESTART gives a sequence a new file: the snapshot still knows the old one, the function always the newest.
_RESTARTED = f"""
    SELECT n.nspname, c.relname {_FROM} AND c.relfilenode <> pg_catalog.pg_relation_filenode(c.oid) ORDER BY 1, 2
"""
_DIRECTIONS = f"""
    SELECT n.nspname, c.relname, CASE WHEN s.seqcycle THEN 0 ELSE pg_catalog.sign(s.seqincrement)::int END {_FROM}
"""

Name = tuple[str, str]


def sequences(connection: Connection) -> tuple[Sequence, ...]:
    """Return the sequences that the transaction sees, with their newest values, sorted by name."""
    names: list[Name] = [(schema, name) for schema, name in connection.execute(_LISTED).fetchall()]
    values = sequence_values(connection, names)
    return tuple(values[name] for name in names if name in values)


def restarted(connection: Connection) -> tuple[Name, ...]:
    """Return the sequences that were restarted or altered since the transaction's snapshot."""
    return tuple((schema, name) for schema, name in connection.execute(_RESTARTED).fetchall())


def set_back(connection: Connection, before: tuple[Sequence, ...], after: tuple[Sequence, ...]) -> tuple[Name, ...]:
    """Return the sequences of *before* that are missing from *after* or behind; one that cycles may go anywhere."""
    directions = {(schema, name): sign for schema, name, sign in connection.execute(_DIRECTIONS).fetchall()}
    found = {(one.schema_name, one.name): one for one in after}
    return tuple(name for one in before if _behind(found.get(name := _name(one)), one, directions.get(name, 1)))


def _behind(after: Sequence | None, before: Sequence, sign: int) -> bool:
    return after is None or (sign * after.value, after.called or not sign) < (sign * before.value, before.called)


def _name(sequence: Sequence) -> Name:
    return sequence.schema_name, sequence.name
