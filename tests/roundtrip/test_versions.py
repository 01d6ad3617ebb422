"""Restores to older and newer major versions: what fits is proven, what does not is refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.errors import TargetIncompatible
from holdfast_local.postgres import EmbeddedPostgres
from restore.conftest import SHOP
from roundtrip.servers import Place, back_up, restorer, round_trip

NEWER = """
CREATE TABLE stored (a int, "b; GENERATED ALWAYS AS (" int GENERATED ALWAYS AS (a + 1) STORED);
CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a + 1) STORED, c int GENERATED ALWAYS AS (a * 2) VIRTUAL);
CREATE TABLE checked (a int, CONSTRAINT idle CHECK (a > 0) NOT ENFORCED);
CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER arrives ON login EXECUTE FUNCTION f();
COMMENT ON TABLE checked IS 'NULLS NOT DISTINCT, WITHOUT OVERLAPS)';
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with EmbeddedPostgres(15, tmp_path_factory.mktemp("old")) as server:
        yield Place(server)


def created(place: Place, name: str, script: str) -> str:
    place.query("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
    place.fill(name, script)
    return name


def test_a_newer_servers_database_is_restored_to_an_older_one(source: Place, old: Place) -> None:
    trip = round_trip(source, created(source, "shop_of_18", SHOP), old, "shop_in_15")

    assert trip.ended.proof.differences == ()
    assert trip.ended.proof.proven


def test_what_an_older_server_cannot_hold_is_refused_by_name_before_it_is_touched(source: Place, old: Place) -> None:
    rig = back_up(source, created(source, "newer", NEWER))

    error = restorer(rig, source, old.server.url()).fails("newer_in_15", target_secret="other")

    assert isinstance(error, TargetIncompatible)
    assert "table public.computed (a virtual generated column)" in error.message
    assert "event trigger arrives (a trigger on login)" in error.message
    assert "(a constraint that is not enforced)" in error.message
    assert "stored" not in error.message
    assert "nulls" not in error.message
    assert "PostgreSQL 18 or later" in error.hint
    assert old.query("postgres", "SELECT 1 FROM pg_database WHERE datname = 'newer_in_15'") == []
