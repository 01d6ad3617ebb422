"""Whole backups of real databases."""

from __future__ import annotations

import threading
from datetime import timedelta

import zstandard

from holdfast.contracts.manifest import Manifest
from holdfast.model.keys import GLOBALS, HANDBOOK, PUBLIC_KEY, SCHEMA, SIGNATURE, ArchiveKeys
from holdfast.model.points import PointState
from snapshot.rig import DATABASE, Rig, now
from snapshot.servers import Databases

BIG = """
    CREATE TABLE ledger (id bigint PRIMARY KEY, amount bigint NOT NULL, padding text);
    INSERT INTO ledger SELECT n, 0, repeat(md5(n::text), 30) FROM generate_series(1, 60000) n
"""


def rows_of(rig: Rig, manifest: Manifest, name: str) -> list[list[bytes]]:
    """Return the rows of a table as the archive holds them."""
    table = next(table for table in manifest.tables if table.name == name)
    text = b"".join(
        zstandard.decompress(rig.archive.read(ArchiveKeys(DATABASE).chunk(chunk.sha256), chunk.version_id))
        for chunk in table.chunks
    )
    return [line.split(b"\t") for line in text.splitlines()]


def test_a_backup_of_a_hard_schema_is_captured_and_found_intact(shop: Rig) -> None:
    point = shop.backup()

    assert point.state is PointState.CAPTURED
    manifest = shop.manifest(point.id)
    rows = {(table.schema_name, table.name): table.rows for table in manifest.tables}
    assert rows["app", "users"] == 2000
    assert rows["public", "nothing"] == 3
    assert (rows["public", "parent"], rows["public", "child"]) == (2, 1)
    assert ("app", "events") not in rows
    assert "lower_email" not in next(table.columns for table in manifest.tables if table.name == "users")
    assert manifest.large_objects
    assert manifest.large_objects.listed.rows == 3
    assert [view.name for view in manifest.materialised_views] == ["moods", "moods_again"]
    assert {(sequence.name, sequence.value, sequence.called) for sequence in manifest.sequences} >= {
        ("odd seq", 2, True),
        ("unused", 7, False),
        ("orders_id_seq", 3000, True),
    }
    assert set(manifest.roles) >= {"postgres", "shop_owner", "shop reader"}

    verdict = shop.verify(point.id)

    assert verdict.intact, verdict
    assert shop.points.get(point.id).state is PointState.INTACT
    assert shop.points.lock_holder(DATABASE) is None
    assert not shop.holds.open(DATABASE)


def test_everything_of_a_point_is_locked_for_as_long_as_its_tier_says(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)

    versions = [version for versions in small.archive.versions.values() for version in versions if version]
    assert {version.retain_until for version in versions} == {small.protected.retain_until(point)}
    keys = ArchiveKeys(DATABASE)
    for name in (SCHEMA, GLOBALS, SIGNATURE, PUBLIC_KEY, HANDBOOK):
        assert small.archive.find(keys.of_point(point.id, name)), name


def test_a_backup_that_outlasts_what_it_is_kept_for_is_locked_for_a_day_more(small: Rig) -> None:
    point = small.backup()
    late = point.started_at + timedelta(days=31)

    assert small.protected.retain_until(point, late) == late + timedelta(days=1)
    assert small.protected.retain_until(point, point.started_at) == small.protected.retain_until(point)


def test_a_second_backup_stores_only_what_changed(small: Rig, databases: Databases) -> None:
    first = small.backup()
    with databases.connect(small.parameters) as session:
        session.execute("UPDATE users SET name = 'other' WHERE id = 1")

    second = small.backup()

    one, other = small.manifest(first.id), small.manifest(second.id)
    assert one.tables[0].chunks == other.tables[0].chunks
    assert one.tables[1].chunks != other.tables[1].chunks
    assert 0 < second.bytes_new < first.bytes_new == first.bytes_stored
    assert small.verify(second.id).intact


def test_writers_do_not_disturb_the_snapshot(databases: Databases) -> None:
    rig = Rig(databases.create(BIG))
    stop = threading.Event()

    def transfer() -> None:
        """Move amounts between rows, each move a transaction, so that the sum is always 0."""
        with databases.connect(rig.parameters) as session:
            number = 0
            while not stop.is_set():
                number += 7
                session.execute(
                    "UPDATE ledger SET amount = amount + CASE id WHEN %s THEN 1 ELSE -1 END WHERE id IN (%s, %s)",
                    (1 + number % 30000, 1 + number % 30000, 60000 - number % 29000),
                )
                session.execute("INSERT INTO ledger VALUES (%s, 1000, '')", (100000 + number,))

    writers = [threading.Thread(target=transfer)]
    for writer in writers:
        writer.start()
    try:
        point = rig.backup()
    finally:
        stop.set()
        for writer in writers:
            writer.join()

    rows = rows_of(rig, rig.manifest(point.id), "ledger")
    inserted = [row for row in rows if int(row[0]) > 60000]
    assert len(rows) == 60000 + len(inserted)
    assert sum(int(row[1]) for row in rows) == 1000 * len(inserted)
    assert rig.verify(point.id).intact


def test_a_table_is_cut_into_ranges_that_hold_every_row_once(databases: Databases) -> None:
    rig = Rig(databases.create(BIG))

    point = rig.backup()

    manifest = rig.manifest(point.id)
    (table,) = manifest.tables
    assert len(table.chunks) > 1
    assert table.chunks[-1].end_block is None
    assert sorted(int(row[0]) for row in rows_of(rig, manifest, "ledger")) == list(range(1, 60001))


def test_an_empty_database_can_be_backed_up(databases: Databases) -> None:
    rig = Rig(databases.create())

    point = rig.backup()

    assert rig.manifest(point.id).contents == ()
    assert rig.verify(point.id).intact


def test_the_point_is_of_the_snapshots_moment(small: Rig) -> None:
    before = now()

    point = small.backup()

    assert before <= point.taken_at <= now()
    assert small.manifest(point.id).snapshot.lsn
