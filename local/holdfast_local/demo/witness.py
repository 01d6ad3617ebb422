"""
Count and digest every table of a database, without any of the functions under test.

Each table gets two digests. One is the archive's kind, over COPY text, comparable with what verification
and proof found. The other is plain SQL over the rows as records, so that a fault which the archive's own
digest would not see has to fool a second, different one.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from holdfast.archive.digest import RowDigest
from holdfast_local.postgres import Server, locate

SETTINGS = {
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "3",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
    "search_path": "",
    "timezone": "UTC",
}
"""What a value's text depends on; the same on both sides of a comparison."""
LARGE_OBJECTS, OBJECT_LIST = "pg_catalog.pg_largeobject", "pg_catalog.pg_largeobject_metadata"
BLOCK = 1 << 20

# The pages of large objects as the archive keeps them: where in its object each begins, not its number.
_PAGES = """SELECT loid, pageno::bigint * (current_setting('block_size')::bigint / 4) AS "offset", data
    FROM pg_largeobject"""

# Who may do what with them, in words that mean the same on another server.
_OBJECTS = """SELECT o.oid, pg_get_userbyid(o.lomowner), o.lomacl::text,
           (SELECT description FROM pg_description WHERE objoid = o.oid AND classoid = 'pg_largeobject'::regclass)
    FROM pg_largeobject_metadata o"""
_AS_ARCHIVED = {LARGE_OBJECTS: _PAGES, OBJECT_LIST: _OBJECTS}

_TABLES = """
    SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND (n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'holdfast_restore')
           OR c.oid IN ('pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass))
    GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Testimony:
    """One table: its rows, the archive's kind of digest (hex) and the one that SQL worked out."""

    rows: int
    digest: str
    by_sql: str


@contextmanager
def standing(url: str, snapshot: str | None = None) -> Iterator[psycopg.Connection]:
    """
    Hold one moment of the database still: that of *snapshot*, if one is given.

    The connection keeps that moment after whoever exported the snapshot has gone.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot:
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        connection.execute("SELECT 1")
        yield connection


def observe(connection: psycopg.Connection, server: Server, key: bytes, *, workers: int = 2) -> dict[str, Testimony]:
    """
    Return what every table held at the connection's moment; *key* is the database's digest key.

    Tables are read side by side by *workers*, each under the moment of *connection*, which must stay open.
    """
    (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
    tables = connection.execute(_TABLES).fetchall()
    reader = _Reader(server, connection.info.dbname, snapshot, key)
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda table: reader.read(*table), tables)
        return {f"{schema}.{name}": each for (schema, name, _), each in zip(tables, found, strict=True)}


@dataclass(frozen=True)
class _Reader:
    server: Server
    database: str
    snapshot: str
    key: bytes

    def read(self, schema: str, name: str, columns: list[str]) -> Testimony:
        table = sql.Identifier(schema, name)
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("SELECT {} FROM ONLY {}").format(listed, table)
        if (archived := _AS_ARCHIVED.get(f"{schema}.{name}")) is not None:
            query = sql.SQL(archived).format()
        text = sql.SQL("COPY ({}) TO STDOUT").format(query)
        rows, by_sql = self._by_sql(table)
        digest = RowDigest(self.key)
        for block in self._output(text.as_string()):
            digest.update(block)
        found = digest.finish()
        return Testimony(rows=rows, digest=found.hex if found.rows == rows else f"{found.rows} rows", by_sql=by_sql)

    def _by_sql(self, table: sql.Identifier) -> tuple[int, str]:
        """Count and digest with SQL alone: the sum of 64-bit hashes of the rows, generated columns included."""
        query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(t::text, 7)), 0)::text FROM ONLY {} t")
        with standing(self.server.url(self.database), self.snapshot) as connection:
            for setting, value in SETTINGS.items():
                connection.execute("SELECT set_config(%s, %s, true)", (setting, value))
            row = connection.execute(query.format(table)).fetchone()
        return (int(row[0]), str(row[1])) if row else (0, "")

    def _output(self, statement: str) -> Iterator[bytes]:
        """Yield what psql prints for *statement*: a row loop in Python would take three times as long."""
        options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in SETTINGS.items())
        begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{self.snapshot}'"
        command = [str(locate(18).path("psql")), "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", begin, "-c", statement]
        environment = {"PGPASSWORD": self.server.password, "PGOPTIONS": options, "PATH": os.defpath, "LC_ALL": "C"}
        place = ["-h", self.server.host, "-p", str(self.server.port), "-U", self.server.superuser, self.database]
        with subprocess.Popen([*command, *place], stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None  # noqa: S101  # opened above
            while block := process.stdout.read(BLOCK):
                yield block
        if process.returncode:
            raise psycopg.OperationalError("psql could not read the table for the witness.")
