"""Schemas that change beside a backup: what is only new harms nothing, and all else ends the attempt, not the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from holdfast.adapters.postgres import snapshots
from holdfast.adapters.postgres.catalogues import changes
from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint import Lines, Schema
from holdfast.adapters.postgres.relations import Relation, lockable
from holdfast.adapters.postgres.snapshots import export_first
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.errors import BackupYielded, SchemaChanged
from holdfast.model.points import PointState
from holdfast.usecases.snapshot import noticing
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


@pytest.mark.parametrize(
    "statement",
    [
        "DROP VIEW names",
        "DROP SEQUENCE numbers",
        "DROP TABLE whole",
        "ALTER TABLE whole RENAME TO former",
    ],
)
def test_what_pg_dump_does_not_find_any_more_ends_the_attempt_alone(databases: Databases, statement: str) -> None:
    rig = Rig(
        databases.create(USERS, TYPES, "CREATE SEQUENCE numbers; CREATE TABLE whole (a int) PARTITION BY LIST (a)")
    )
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        planned = rig.plan(started.point_id)
        changed(databases, rig, statement)

        with pytest.raises(BackupYielded, match="The schema changed"):
            rig.dump_all(planned)
        with pytest.raises(BackupYielded):
            holder.result(timeout=30)


SWAP = "ALTER SCHEMA {0} RENAME TO aside; ALTER SCHEMA {1} RENAME TO {0}; ALTER SCHEMA aside RENAME TO {1}"


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_of_a_table_that_has_anothers_name_for_a_while_are_nobodys(databases: Databases, rows: int) -> None:
    tables = [
        f"CREATE SCHEMA {name}; CREATE TABLE {name}.t AS SELECT generate_series(1, {count}) i"
        for name, count in (("blue", 10), ("green", rows))
    ]
    rig = Rig(databases.create(*tables))
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        planned = rig.plan(started.point_id)
        changed(databases, rig, SWAP.format("blue", "green"))
        with pytest.raises(BackupYielded, match="name leads to another table"):
            rig.dump_all(planned)
        with pytest.raises(BackupYielded):
            holder.result(timeout=30)
    changed(databases, rig, SWAP.format("blue", "green"))

    rig.attempt = 2
    with rig.holding(started.point_id):
        rig.dump_all(rig.plan(started.point_id))
        rig.seal(started.point_id)

    assert {f"{table.schema_name}.{table.name}": table.rows for table in rig.manifest(started.point_id).tables} == {
        "blue.t": 10,
        "green.t": rows,
    }


def test_tables_whose_schema_has_another_name_end_the_attempt_alone(databases: Databases) -> None:
    rig = Rig(databases.create("CREATE SCHEMA blue; CREATE TABLE blue.t AS SELECT 1 i"))
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        planned = rig.plan(started.point_id)
        changed(databases, rig, "ALTER SCHEMA blue RENAME TO green")
        with pytest.raises(BackupYielded, match="The schema changed"):
            rig.dump_all(planned)
        with pytest.raises(BackupYielded):
            holder.result(timeout=30)


def test_what_pg_dump_does_not_find_while_a_selection_is_sealed_ends_the_attempt_alone(databases: Databases) -> None:
    rig = Rig(databases.create(USERS, TYPES), selection=Selection(include_schemas=("public",)))
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        rig.dump_all(rig.plan(started.point_id))
        changed(databases, rig, "DROP VIEW names")

        with pytest.raises(BackupYielded, match="The schema changed"):
            rig.seal(started.point_id)
        with pytest.raises(BackupYielded):
            holder.result(timeout=30)


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


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", "ALTER TYPE mood RENAME VALUE 'fine' TO 'ok'"),
        ("ALTER TYPE pair ADD ATTRIBUTE c int", "ALTER TYPE pair DROP ATTRIBUTE c"),
    ],
    ids=["a label's name", "one more attribute"],
)
def test_what_was_another_only_while_rows_were_copied_ends_the_attempt(
    rig: Rig, databases: Databases, there: str, back: str
) -> None:
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        planned = rig.plan(started.point_id)
        changed(databases, rig, there)
        rig.dump_all(planned)
        changed(databases, rig, back)

        with pytest.raises(BackupYielded, match="The schema changed"):
            rig.seal(started.point_id)
        with pytest.raises(BackupYielded):
            holder.result(timeout=30)


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


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let holders look often; what is appended here tells how often they have read all definitions."""
    read, found = noticing.read_schema, list[int]()

    def counted(session: Connection) -> Schema:
        found.append(1)
        return read(session)

    monkeypatch.setattr(noticing, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(noticing, "SHARE", 1)
    monkeypatch.setattr(noticing, "read_schema", counted)
    return found


def until(reached: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_change_ends_the_attempt_long_before_its_seal(rig: Rig, databases: Databases, looks: list[int]) -> None:
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        until(lambda: len(looks) > 1)
        changed(databases, rig, CHANGES["a label's name"][0])

        with pytest.raises(BackupYielded, match=r"The schema changed .*: types"):
            holder.result(timeout=60)

    assert rig.executions.answers[0][1:3] == ("failed", "BackupYielded")
    assert rig.points.get(started.point_id).yields == 1
    assert rig.holds.current(started.point_id) is None


def test_the_last_attempt_fails_with_the_change_long_before_its_seal(
    rig: Rig, databases: Databases, looks: list[int]
) -> None:
    rig.yield_pauses_seconds = ()
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        until(lambda: len(looks) > 1)
        changed(databases, rig, CHANGES["a view that goes"][0])

        with pytest.raises(SchemaChanged):
            holder.result(timeout=60)

    assert rig.executions.answers[0][1:3] == ("failed", "SchemaChanged")
    assert rig.points.get(started.point_id).yields == 0


def test_a_holder_reads_definitions_again_only_after_something_was_changed(
    rig: Rig, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, counted = list[int](), [1]

    def counting(_: Connection) -> int:
        asked.append(counted[0])
        return counted[0]

    monkeypatch.setattr(noticing, "changes", counting)
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        until(lambda: asked.count(1) > 2)
        first = len(looks)
        counted[0] = 2
        until(lambda: asked.count(2) > 2)

        assert (first, len(looks)) == (2, 3), "the snapshot's once, and those of now once each time"
        assert not holder.done()
    assert holder.result(timeout=30).released


@pytest.mark.parametrize("statement", [statement for statement, _ in CHANGES.values()], ids=CHANGES)
def test_whatever_changes_a_definition_is_counted(rig: Rig, databases: Databases, statement: str) -> None:
    with databases.connect(rig.parameters) as session:
        before = changes(session)
        changed(databases, rig, statement)

        until(lambda: changes(session) != before)


def test_what_has_been_noticed_while_the_attempt_is_sealed_is_the_seals_to_judge(
    rig: Rig, databases: Databases, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, found = noticing.gone, list[tuple[str, ...]]()

    def noted(before: Lines, now: Lines) -> tuple[str, ...]:
        found.append(gone(before, now))
        return found[-1]

    monkeypatch.setattr(noticing, "gone", noted)
    started = rig.start()
    with rig.holding(started.point_id) as holder:
        until(lambda: len(looks) > 1)
        assert rig.points.begin_sealing(started.point_id, 1)
        changed(databases, rig, CHANGES["a function"][0])
        until(lambda: any(found))
        time.sleep(0.5)

        assert not holder.done()
    assert holder.result(timeout=30).released
