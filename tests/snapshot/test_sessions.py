"""What sessions on a source set for themselves, whatever the role has been given, and what they leave behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.network import Network, eventually, network
from holdfast.contracts.backup import DumpRequest
from holdfast.model.sessions import belongs_to
from snapshot.rig import Rig
from snapshot.servers import Databases

ROWS = """
    CREATE TABLE rows AS SELECT n, repeat(md5(n::text), 30) AS t, now() AS moment FROM generate_series(1, 4000) n;
    CREATE VIEW seen AS SELECT * FROM rows WHERE t = 'x'
"""
HOSTILE = {
    "statement_timeout": "1s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "300ms",
    "idle_session_timeout": "300ms",
    "transaction_timeout": "700ms",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "default_transaction_read_only": "on",
    "search_path": "evil",
    "row_security": "on",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Pacific/Chatham",
    "bytea_output": "escape",
    "extra_float_digits": "-10",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "client_min_messages": "error",
    "client_encoding": "LATIN1",
    "array_nulls": "off",
    "enable_tidscan": "off",
    "jit_above_cost": "0",
    "max_parallel_workers_per_gather": "8",
    "debug_parallel_query": "on",
    "tcp_keepalives_idle": "7200",
}
# An operator that comes before PostgreSQL's own wherever the role's search_path is in force.
EVIL = """
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.lie(text, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.= (FUNCTION = evil.lie, LEFTARG = text, RIGHTARG = text)
"""
OURS = "SELECT application_name, client_port, pid FROM pg_stat_activity WHERE application_name LIKE 'holdfast %'"
TRACES = """
    SELECT (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_prepared_xacts),
           (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_auth_members),
           (SELECT count(*) FROM pg_replication_slots)
"""


@pytest.fixture
def way(databases: Databases) -> Iterator[Network]:
    with network(databases.server.port) as made:
        yield made


def test_a_role_with_every_hostile_setting_backs_up_the_same_and_nothing_stays_behind(databases: Databases) -> None:
    usual = Rig(databases.create(ROWS, EVIL))
    role = databases.role("IN ROLE pg_read_all_data")
    expected = usual.manifest(usual.backup().id)
    with databases.connect(usual.parameters) as session:
        for name, value in HOSTILE.items():
            session.execute(f"ALTER ROLE {role} SET {name} = '{value}'".encode())
        before = session.execute(TRACES).fetchone()
        hostile = Rig(replace(usual.parameters, user=role, password="secret"))

        point = hostile.backup()

        after = session.execute(TRACES).fetchone()
        left = OURS + " AND datname = current_database()"
        assert eventually(lambda: not session.execute(left.encode()).fetchall())
    found = hostile.manifest(point.id)
    assert hostile.verify(point.id).intact
    assert (found.tables, found.schema_fingerprint) == (expected.tables, expected.schema_fingerprint)
    assert after == before


@pytest.mark.parametrize(("name", "batch"), [("dump", 1), ("schema", 0), ("roles", 0), ("plan", None)], ids=str)
def test_every_session_names_its_point_and_is_kept_alive_at_both_ends(
    databases: Databases, way: Network, name: str, batch: int | None
) -> None:
    rig = Rig(replace(databases.create(ROWS), port=way.port))
    started = rig.start()
    with rig.holding(started.point_id):
        requests = [] if batch is None else rig.items(rig.plan(started.point_id).items.key)
        way.stall_next(f"holdfast {name} ")

        def work() -> None:
            if batch is None:
                rig.plan(started.point_id)
            else:
                rig.dump(DumpRequest.model_validate(requests[batch]))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            way.await_stall()
            ours = {each: way.port_of(each) for each in way.names() if belongs_to(each, started.point_id)}

            assert {each.split()[1] for each in ours} == {"hold", name}
            assert all(is_kept_alive(port, way.port) for port in ours.values())
        finally:
            way.go_on()
            thread.join(timeout=30)


def test_the_server_notices_within_minutes_when_a_client_vanished(databases: Databases) -> None:
    rig = Rig(databases.create(ROWS))
    started = rig.start()
    query = f"{OURS} AND datname = '{rig.parameters.dbname}'"

    with rig.holding(started.point_id), databases.connect(databases.parameters("postgres")) as other:
        ports = [row[1] for row in other.execute(query.encode()).fetchall()]

        assert ports
        assert all(is_kept_alive(rig.parameters.port, port) for port in ports)


def is_kept_alive(port: int, peer: int) -> bool:
    """Answer whether the kernel will ask within a minute whether the *peer* of the socket at *port* still lives."""
    return eventually(lambda: 0 < keepalive_seconds(port, peer) <= 60, seconds=10)


def keepalive_seconds(port: int, peer: int) -> float:
    """Return in how many seconds the kernel asks; -1 while it has another reason to wait, such as an answer."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote = (int(words[place].rpartition(":")[2], 16) for place in (1, 2))
        if (local, remote) == (port, peer):
            kind, _, ticks = words[5].partition(":")
            return int(ticks, 16) / 100 if kind == "02" else -1
    raise AssertionError(f"no socket leads from {port} to {peer}")
