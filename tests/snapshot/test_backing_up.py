"""Whole backups of real databases."""

from __future__ import annotations

from snapshot.rig import DATABASE, Rig
from snapshot.servers import Databases

from holdfast.model.points import PointState


def test_a_backup_of_a_hard_schema_is_captured_and_found_intact(shop: Rig) -> None:
    point = shop.backup()

    assert point.state is PointState.CAPTURED
    manifest = shop.manifest(point.id)
    rows = {(table.schema_name, table.name): table.rows for table in manifest.tables}
    assert rows["app", "users"] == 2000
    assert rows["public", "nothing"] == 3
    assert rows["public", "parent"] == rows["public", "child"] * 2 == 2
    assert ("app", "events") not in rows
    assert len(manifest.large_objects) == 3
    assert [view.name for view in manifest.materialised_views] == ["moods", "moods_again"]
    assert {(sequence.name, sequence.value, sequence.called) for sequence in manifest.sequences} >= {
        ("odd seq", 2, True),
        ("unused", 7, False),
        ("orders_id_seq", 3000, True),
    }

    verdict = shop.verify(point.id)

    assert verdict.intact, verdict
    assert shop.points.get(point.id).state is PointState.INTACT
    assert shop.points.lock_holder(DATABASE) is None
    assert not shop.holds.open(DATABASE)
