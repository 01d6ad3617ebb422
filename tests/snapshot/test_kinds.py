"""Points of the schema alone, and of the rows alone."""

from __future__ import annotations

import pytest

from holdfast.adapters.postgres import programs
from holdfast.model.points import Kind, PointState
from holdfast.model.toc import read_toc
from holdfast.usecases.restore.choosing import choose_point
from snapshot.rig import DATABASE, Rig
from snapshot.servers import Databases

TABLES = "CREATE TABLE a (id serial); INSERT INTO a SELECT FROM generate_series(1, 10); SELECT lo_from_bytea(77, 'x')"


@pytest.fixture
def rig(databases: Databases) -> Rig:
    return Rig(databases.create(TABLES))


def test_a_schema_point_holds_definitions_and_nothing_else(rig: Rig) -> None:
    point = rig.backup(Kind.SCHEMA)

    verdict = rig.verify(point.id)

    manifest = rig.manifest(point.id)
    assert manifest.schema_dump
    dump = rig.archive.read(manifest.schema_dump.key)
    kinds = {entry.kind for entry in read_toc(dump)}
    assert (verdict.intact, point.kind, manifest.kind) == (True, "schema", "schema")
    assert (manifest.contents, manifest.sequences, manifest.large_objects) == ((), (), None)
    assert {"TABLE", "SEQUENCE"} <= kinds
    assert "SEQUENCE SET" not in kinds
    assert b"CREATE TABLE" in programs.run("pg_restore", ["--file=-"], given=dump)


def test_a_data_point_holds_rows_sequences_and_large_objects_with_their_columns(rig: Rig) -> None:
    point = rig.backup(Kind.DATA)

    verdict = rig.verify(point.id)

    manifest = rig.manifest(point.id)
    (table,) = manifest.tables
    assert (verdict.intact, point.kind, manifest.schema_dump) == (True, "data", None)
    assert (table.columns, table.rows, manifest.sequences[0].value) == (("id",), 10, 10)
    assert manifest.large_objects
    assert manifest.large_objects.listed.rows == 1
    assert manifest.schema_fingerprint == rig.manifest(rig.backup().id).schema_fingerprint


@pytest.mark.parametrize("kind", [Kind.SCHEMA, Kind.DATA])
def test_only_a_full_backup_counts_for_the_alarm(rig: Rig, kind: Kind) -> None:
    full, other = rig.backup(), rig.backup(kind)

    assert rig.verify(full.id).first
    assert not rig.verify(other.id).first


def test_the_latest_point_is_full_whatever_was_taken_since(rig: Rig) -> None:
    taken = [rig.backup(kind) for kind in (Kind.FULL, Kind.SCHEMA, Kind.DATA)]
    for point in taken:
        rig.verify(point.id)
    full, schema, data = taken

    assert choose_point(rig.points, DATABASE, "latest").id == full.id
    assert choose_point(rig.points, DATABASE, "latest", kind=Kind.SCHEMA).id == schema.id
    assert choose_point(rig.points, DATABASE, data.id).state is PointState.INTACT
