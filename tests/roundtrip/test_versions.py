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


# PostgreSQL 18's package has neither ICU nor XML, and fewer extensions.
BY_ICU = """
CREATE COLLATION german_phone (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
CREATE COLLATION ignoring (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE COLLATION copied FROM "de-x-icu";
COMMENT ON COLLATION ignoring IS 'a collation';
CREATE TABLE collated (a text COLLATE german_phone, b text COLLATE ignoring UNIQUE, c text COLLATE "en-x-icu");
INSERT INTO collated VALUES ('Ä', 'Ab', 'c'), ('AE', 'ac', 'C');
CREATE INDEX ON collated (a COLLATE copied, c COLLATE "C" DESC);
CREATE TABLE by_list (a text COLLATE ignoring) PARTITION BY LIST (a);
CREATE TABLE by_list_a PARTITION OF by_list FOR VALUES IN ('a', 'b');
INSERT INTO by_list VALUES ('A'), ('b');
CREATE TABLE by_hash (a text COLLATE ignoring) PARTITION BY HASH (a);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_hash VALUES ('x'), ('X'), ('y');
CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pgcrypto; CREATE EXTENSION xml2; CREATE EXTENSION hstore;
CREATE TABLE documents (a xml, b uuid DEFAULT uuid_generate_v4(), c bytea DEFAULT gen_random_bytes(4), d hstore);
INSERT INTO documents VALUES ('<?xml version="1.0"?><a b="&quot;">é<![CDATA[<x>]]></a>'), ('no <b>root</b>'), (NULL);
CREATE VIEW elements AS SELECT xmlelement(name x, xmlattributes('y' AS z), a) FROM documents;
"""


def test_a_database_that_sorts_by_icu_comes_back(old: Place) -> None:
    old.query("postgres", "CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C'")
    old.fill("icu", BY_ICU)

    trip = round_trip(old, "icu", old, "icu_again")

    provider = "SELECT datlocprovider, daticulocale FROM pg_database WHERE datname = current_database()"
    was, is_ = trip.dumps()
    rows_before, rows_after = trip.rows()
    assert trip.ended.proof.differences == ()
    assert was == is_
    assert rows_before == rows_after
    assert old.query("icu", provider) == old.query("icu_again", provider) == [("i", "de")]
