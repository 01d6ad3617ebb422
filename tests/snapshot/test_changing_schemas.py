"""Schemas that change beside a backup: what is only new harms nothing, and all else ends the attempt, not the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.adapters.postgres import snapshots
from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.relations import Relation, lockable
from holdfast.adapters.postgres.snapshots import export_first
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.errors import BackupYielded, SchemaChanged
from holdfast.model.points import PointState
from snapshot.rig import Rig
from snapshot.servers import USERS, Databases

TYPES = """
    CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TYPE pair AS (a int, b int);
    CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW names AS SELECT name FROM users;
    CREATE TABLE feelings (mood mood, pair pair); INSERT INTO feelings VALUES ('ok', (1, 2));
"""
CHANGES = {
    "a label's name": ("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", "types"),
    "one more attribute": ("ALTER TYPE pair ADD ATTRIBUTE c int", "columns"),
    "a function": ("CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'", "functions"),
    "a view of the same name": (
        "ALTER VIEW names RENAME TO old; CREATE VIEW names AS SELECT name FROM users",
        "relations",
    ),
    "a view that goes": ("DROP VIEW names", ""),
}


@pytest.fixture
def rig(databases: Databases) -> Rig:
    return Rig(databases.create(USERS, TYPES))


def changed(databases: Databases, rig: Rig, statement: str) -> None:
    with databases.connect(rig.parameters) as session:
        session.execute(statement.encode())


@pytest.mark.parametrize(("statement", "kind"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("before", ["planning", "sealing"])
def test_a_change_ends_the_attempt_and_the_next_one_is_of_what_is_there_then(
    rig: Rig, databases: Databases, statement: str, kind: str, before: str
) -> None:
    started = rig.start("arn:execution")
    with rig.holding(started.point_id) as holder:
        if before == "sealing":
            rig.dump_all(rig.plan(started.point_id))
        changed(databases, rig, statement)
        with pytest.raises(BackupYielded, match="The schema changed") as found:
            rig.seal(started.point_id) if before == "sealing" else rig.plan(started.point_id)
        with pytest.raises(BackupYielded):
            holder.result(timeout=30)
    said, point = found.value.message, rig.points.get(started.point_id)

    rig.attempt = 2
    with rig.holding(started.point_id):
        rig.dump_all(rig.plan(started.point_id))
        rig.seal(started.point_id)

    assert kind in said
    assert (point.state, point.yields, point.yielded_to) == (PointState.CAPTURING, 1, said)
    assert rig.points.get(started.point_id).state is PointState.CAPTURED
    assert rig.verify(started.point_id).intact


def test_the_last_attempt_fails_with_the_change(rig: Rig, databases: Databases) -> None:
    rig.yield_pauses_seconds = ()
    started = rig.start()

    with rig.holding(started.point_id):
        rig.dump_all(rig.plan(started.point_id))
        changed(databases, rig, CHANGES["a function"][0])

        with pytest.raises(SchemaChanged, match="was captured: functions"):
            rig.seal(started.point_id)


def test_new_tables_beside_a_selection_harm_nothing(databases: Databases) -> None:
    rig = Rig(databases.create(USERS), selection=Selection(include_schemas=("public",)))
    started = rig.start()
    with rig.holding(started.point_id):
        changed(databases, rig, "CREATE TABLE first ()")
        rig.dump_all(rig.plan(started.point_id))
        changed(databases, rig, "CREATE TABLE second (); DROP TABLE first")

        rig.seal(started.point_id)

    assert [table.name for table in rig.manifest(started.point_id).tables] == ["users"]


@contextmanager
def creating_after_the_locks(
    databases: Databases, rig: Rig, monkeypatch: pytest.MonkeyPatch, *, then: str = ""
) -> Iterator[None]:
    """Create a table of ten rows between the first holder's locks and its snapshot, and run *then* right after that."""
    lock, lock_late, made = snapshots._lock, snapshots._lock_late, []

    def locked(session: Connection, tables: tuple[Relation, ...]) -> None:
        lock(session, tables)
        if not made:
            made.append(True)
            changed(databases, rig, "CREATE TABLE late AS SELECT generate_series(1, 10) AS id")

    def locked_late(session: Connection, tables: tuple[Relation, ...]) -> bool:
        if then and len(made) == 1:
            made.append(True)
            changed(databases, rig, then)
        return lock_late(session, tables)

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "_lock", locked)
        patched.setattr(snapshots, "_lock_late", locked_late)
        yield


def test_a_table_that_is_created_beside_the_first_locks_is_in_the_snapshot_and_locked(
    rig: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    with databases.connect(rig.parameters) as session, creating_after_the_locks(databases, rig, monkeypatch):
        exported = export_first(session, EVERYTHING)

        assert "late" in {table.name.name for table in exported.tables}
        with databases.connect(rig.parameters) as other:
            other.execute("SET lock_timeout = '100ms'")
            with pytest.raises(Exception, match="lock timeout"):
                other.execute("TRUNCATE late")


@pytest.mark.parametrize("then", ["TRUNCATE late", "DROP TABLE late"])
def test_a_table_that_is_truncated_before_its_late_lock_is_never_read_as_empty(
    rig: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    with databases.connect(rig.parameters) as session, creating_after_the_locks(databases, rig, monkeypatch, then=then):
        export_first(session, EVERYTHING)

        # Begun anew: this snapshot is of after it, as everybody's is.
        there = {table.name.name for table in lockable(session)}
        assert ("late" in there) == (then == "TRUNCATE late")
        if "late" in there:
            assert session.execute(
                "SELECT relfilenode = pg_relation_filenode(oid) FROM pg_class WHERE relname = 'late'"
            ).fetchone() == (True,)


def test_a_partition_can_be_made_beside_a_backup_and_what_empties_its_siblings_waits(
    databases: Databases,
) -> None:
    rig = Rig(
        databases.create(
            """CREATE TABLE events (id int) PARTITION BY RANGE (id);
            CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10); INSERT INTO events VALUES (1)"""
        )
    )
    started = rig.start()
    with rig.holding(started.point_id), databases.connect(rig.parameters) as session:
        session.execute("SET lock_timeout = '200ms'")

        session.execute("CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20)")
        for statement in ("TRUNCATE events", "DROP TABLE events", "ALTER TABLE events ADD x int"):
            with pytest.raises(Exception, match="lock timeout"):
                session.execute(statement.encode())
