"""Create the application's database: a shop with users, orders, an audit log and partitioned events."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
from psycopg import sql

from holdfast_local.postgres import Server

HERE = Path(__file__).parent
MEGABYTES_PER_UNIT = 0.7
"""What one unit of rows.sql adds to `pg_database_size`, indexes included (measured on PostgreSQL 18)."""
EMPTY_MEGABYTES = 10
READER = "shop_reporting"
LANE = "-- lane: "


def create(server: Server, database: str, *, megabytes: int) -> None:
    """
    Create *database* with about *megabytes* of tables and indexes, and a role that may read it.

    Rows come from `generate_series` on the server, independent tables side by side, so that 300 MB take
    some seconds on two cores. The least is one unit, about 11 MB.
    """
    unit = max(1, round((megabytes - EMPTY_MEGABYTES) / MEGABYTES_PER_UNIT))
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [READER]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(READER)))
    url = server.url(database)
    _run(url, _text("schema.sql"))
    lanes = _text("rows.sql").replace("{unit}", str(unit)).split(LANE)[1:]
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(lambda lane: _run(url, f"-- {lane}"), lanes))
    _run(url, _text("keys.sql"))


def drop(server: Server, database: str) -> None:
    """Destroy *database* and everything in it, whoever is connected."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def size(url: str) -> int:
    """Return the bytes that the database takes on the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(found[0]) if found else 0


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _run(url: str, script: str) -> None:
    """Run a script of ours as one transaction."""
    with psycopg.connect(url) as connection:
        connection.execute(script.encode())
