"""Read back what is compared of a restored database, beside rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from holdfast.adapters.postgres.connect import Connection, ConnectionParameters
from holdfast.adapters.postgres.programs import Program
from holdfast.adapters.postgres.quoting import columns, qualified
from holdfast.adapters.postgres.schema_dump import text_of_dumps
from holdfast.contracts.manifest import Sequence as SequenceValue
from holdfast.contracts.restoring import Locale
from holdfast.model.restoring import MARKS_SCHEMA

_SEQUENCES_AT_ONCE = 200
PAGE = 2048
_STRETCH = 1 << 20


def pages_one_by_one(names: Iterable[str], part: int, parts: int, *, piece: int = PAGE) -> str:
    """
    Return the query for the pieces of large objects, of *piece* bytes, where the table of pages may not be read.

    Each mebibyte of an object belongs to one of *parts* shares; the *part*-th is read.
    Pages that were never written read as zeros, so an object with such gaps looks different.
    """
    return f"""
        SELECT * FROM (
            SELECT o.oid, g.start, pg_catalog.lo_get(o.oid, g.start, {piece})
            FROM (SELECT m.oid, pg_catalog.lo_lseek64(pg_catalog.lo_open(m.oid, 262144), 0, 2) AS size
                  FROM pg_catalog.pg_largeobject_metadata m) o,
                 pg_catalog.generate_series(0::bigint, o.size - 1, {piece}::bigint) AS g (start)
            WHERE (o.oid::bigint + g.start / {_STRETCH}) % {parts} = {part}
        ) AS page ({columns(names)})"""  # noqa: S608  # constants and quoted names


def sequence_values(connection: Connection, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], SequenceValue]:
    """Return the values of those sequences of *names* that exist."""
    known = connection.execute(
        "SELECT schemaname, sequencename FROM pg_catalog.pg_sequences WHERE schemaname <> 'pg_catalog'"
    ).fetchall()
    there = {(str(schema), str(name)) for schema, name in known}
    wanted = [name for name in names if name in there]
    found: dict[tuple[str, str], SequenceValue] = {}
    for first in range(0, len(wanted), _SEQUENCES_AT_ONCE):
        some = wanted[first : first + _SEQUENCES_AT_ONCE]
        query = " UNION ALL ".join(
            f"SELECT {number}, last_value, is_called FROM {qualified(*name)}"  # noqa: S608  # quoted
            for number, name in enumerate(some)
        )
        for number, value, called in connection.execute(query.encode()).fetchall():
            schema, name = some[number]
            found[schema, name] = SequenceValue(schema_name=schema, name=name, value=value, called=called)
    return found


def invalid_indexes(connection: Connection) -> list[str]:
    """Return the indexes that were not built to the end; pg_dump leaves such out."""
    query = """
        SELECT pg_catalog.format('%s.%s', n.nspname, c.relname) FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1"""
    return [str(row[0]) for row in connection.execute(query).fetchall()]


def subscriptions(connection: Connection) -> list[str]:
    """Return the database's subscriptions."""
    query = """
        SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
        WHERE d.datname = pg_catalog.current_database() ORDER BY 1"""
    return [str(row[0]) for row in connection.execute(query).fetchall()]


def locale_of(connection: Connection) -> Locale:
    """Return how the database sorts and compares; the provider as the catalogue writes it."""
    row = connection.execute(
        """SELECT pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
                  coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'),
                  coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale')
           FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"""
    ).fetchone()
    assert row is not None  # noqa: S101  # we are connected to it
    encoding, collate, ctype, provider, locale = row
    return Locale(encoding=encoding, provider=provider, collate=collate, ctype=ctype, icu_locale=locale)


def schema_of(parameters: ConnectionParameters, *, encoding: str, seconds_left: Callable[[], float]) -> bytes:
    """
    Return the schema of a database with that *encoding* as an archive of pg_dump, without our marks.

    Raises `StillWorking` when *seconds_left* says that there are none before it has ended.
    """
    options = ["--format=custom", "--schema-only", "--no-tablespaces", "--compress=0", "--lock-wait-timeout=30000"]
    with Program(
        "pg_dump",
        [*options, f"--encoding={text_of_dumps(encoding)}", f"--exclude-schema={MARKS_SCHEMA}"],
        parameters,
        application_name="holdfast restore compare",
        doing="reading the restored schema",
    ) as program:
        return program.read_all(seconds_left)
