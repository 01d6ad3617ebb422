"""Create the database that both sides copy: a realistic mix of narrow, broad and out-of-line rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
from psycopg import sql

from holdfast_local.demo.seed import size
from holdfast_local.postgres import Server

HERE = Path(__file__).parent
MEGABYTES_PER_UNIT = 1.44
"""What one unit of rows.sql adds to `pg_database_size`, indexes included (measured on PostgreSQL 17)."""
EMPTY_MEGABYTES = 8
LANE = "-- lane: "


def create(server: Server, database: str, *, megabytes: int) -> int:
    """
    Create *database* with about *megabytes* of tables and indexes, and return its size in bytes.

    Rows are drawn with fixed seeds: two runs make the same database. Statistics are fresh and hint bits
    set, so that neither side pays for what the seed left behind.
    """
    unit = max(1, round((megabytes - EMPTY_MEGABYTES) / MEGABYTES_PER_UNIT))
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    url = server.url(database)
    _run(url, _text("schema.sql"))
    first, *lanes = _text("rows.sql").replace("{unit}", str(unit)).split(LANE)[1:]
    _run(url, f"-- {first}")
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(lambda lane: _run(url, f"-- {lane}"), lanes))
    _run(url, _text("keys.sql"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")
    return size(url)


def drop(server: Server, database: str) -> None:
    """Drop *database* if it is there, whoever is connected."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _run(url: str, script: str) -> None:
    """Run a script of ours as one transaction."""
    with psycopg.connect(url) as connection:
        connection.execute(script.encode())


def checkpoint(server: Server) -> None:
    """Write out what earlier steps left in memory."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
