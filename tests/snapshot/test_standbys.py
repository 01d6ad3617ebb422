"""Standbys, and addresses at which several servers answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

import pytest

from fakes.network import eventually, network
from holdfast.adapters.postgres import balance
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.errors import BalancedEndpoint, SnapshotLost, SourceRefused, StandbyRefused
from holdfast_local.postgres import EmbeddedPostgres, Server
from holdfast_local.postgres.replica import copy_for_standby
from snapshot.rig import Rig
from snapshot.servers import ORDERS, USERS, Databases

HOST = "ID.eu-central-1.rds.amazonaws.com"
REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"


@pytest.fixture(scope="module")
def standby(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("standby")
    copy_for_standby(databases.server, directory)
    settings = {"hot_standby_feedback": True, "max_standby_streaming_delay": "1s"}
    with EmbeddedPostgres(18, directory, settings=settings) as server:
        yield server


def followed(databases: Databases, standby: Server, *scripts: str) -> ConnectionParameters:
    """Return how to reach, on the standby, a new database that the primary has made."""
    parameters = databases.create(*scripts)
    catch_up(databases, standby)
    return ConnectionParameters.from_secret(standby.url(parameters.dbname))


def catch_up(databases: Databases, standby: Server) -> None:
    there = ConnectionParameters.from_secret(standby.url())
    with databases.connect(databases.parameters("postgres")) as primary, databases.connect(there) as session:
        written = primary.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        assert eventually(lambda: session.execute(REPLAYED, written).fetchone() == (True,))


def test_a_standby_is_refused_unless_it_is_meant(databases: Databases, standby: Server) -> None:
    rig = Rig(followed(databases, standby, USERS))

    with pytest.raises(StandbyRefused, match="standby = true"):
        rig.start()


def test_a_standby_that_is_meant_is_backed_up_like_its_primary(databases: Databases, standby: Server) -> None:
    there = followed(databases, standby, USERS, ORDERS)
    primary = Rig(replace(there, port=databases.server.port))
    rig = Rig(there, standby=True)

    point = rig.backup()

    found, expected = (each.manifest(each_point.id) for each, each_point in ((rig, point), (primary, primary.backup())))
    assert rig.verify(point.id).intact
    assert found.schema_fingerprint == expected.schema_fingerprint
    assert [chunk.sha256 for each in found.tables for chunk in each.chunks] == [
        chunk.sha256 for each in expected.tables for chunk in each.chunks
    ]
    # The log that a standby replays tells a sequence's values some ahead, never behind.
    assert found.sequences[0].value >= expected.sequences[0].value
    assert found.snapshot.lsn


def test_unlogged_tables_which_a_standby_has_no_rows_of_are_refused(databases: Databases, standby: Server) -> None:
    rig = Rig(followed(databases, standby, USERS, "CREATE UNLOGGED TABLE scratch (n int)"), standby=True)

    with pytest.raises(SourceRefused, match=r'"public"."scratch".*SET LOGGED'):
        rig.start()


def test_replay_that_ends_a_session_is_named_with_its_remedy(databases: Databases, standby: Server) -> None:
    there = followed(databases, standby, USERS)
    rig = Rig(there, standby=True)
    started = rig.start()

    with rig.holding(started.point_id) as holder:
        with databases.connect(replace(there, port=databases.server.port)) as session:
            session.execute("TRUNCATE users")

        with pytest.raises(SnapshotLost, match=r"conflict with recovery.*max_standby_streaming_delay"):
            holder.result(timeout=30)


@pytest.mark.parametrize(
    ("host", "writer"),
    [
        (f"shop.cluster-ro-{HOST}", f"shop.cluster-{HOST}"),
        (f"shop.cluster-custom-{HOST}", f"shop.cluster-{HOST}"),
    ],
    ids=["readers", "a custom group"],
)
def test_a_balanced_host_is_refused_even_where_a_standby_is_meant(small: Rig, host: str, writer: str) -> None:
    small.parameters, small.standby = replace(small.parameters, host=host), True

    with pytest.raises(BalancedEndpoint) as refused:
        small.start()

    assert writer in refused.value.hint
    assert f"shop-instance-1.{HOST}" in refused.value.hint


@pytest.mark.parametrize("host", [f"shop.cluster-{HOST}", f"shop-instance-1.{HOST}", "db.example.com"])
def test_one_server_s_host_is_not_taken_for_a_balanced_one(host: str) -> None:
    balance.refuse_balanced_host(ConnectionParameters(host, 5432, "u", "p", "d"))


def test_an_address_that_leads_to_primary_and_standby_in_turn_is_found_out(
    databases: Databases, standby: Server
) -> None:
    there = followed(databases, standby, USERS)
    with network(standby.port) as way:
        turn = cycle([standby.port, databases.server.port])
        way.choose = lambda: next(turn)
        rig = Rig(replace(there, port=way.port), standby=True)

        with pytest.raises(BalancedEndpoint, match=str(way.port)):
            rig.start()


def test_a_name_with_several_addresses_of_different_servers_is_found_out(
    databases: Databases, standby: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = followed(databases, standby, USERS)
    with network(standby.port) as way, network(databases.server.port, host="127.0.0.2", at=way.port):
        resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")

        with pytest.raises(BalancedEndpoint):
            Rig(replace(there, port=way.port), standby=True).start()


def test_several_addresses_of_one_server_are_fine(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = databases.create(USERS)
    with (
        network(databases.server.port) as way,
        network(databases.server.port, host="127.0.0.2", at=way.port) as other,
    ):
        resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.3", "::1")

        assert Rig(replace(parameters, port=way.port)).start().point_id
        assert other.made == 1


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    monkeypatch.setattr(balance, "addresses_of", lambda _: set(addresses))
