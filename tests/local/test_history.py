"""A recorded server's moments run again beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from holdfast.errors import BadRequest
from holdfast_local.history import Moment, RecordedServer
from holdfast_local.postgres import Server


def _rows(server: Server) -> int:
    with psycopg.connect(server.url(), autocommit=True) as session:
        found = session.execute("SELECT count(*) FROM notes").fetchone()
        assert found is not None
        return int(found[0])


def _run(server: Server, statement: str) -> datetime:
    """Run *statement* and return a moment after it and before the next."""
    with psycopg.connect(server.url(), autocommit=True) as session:
        session.execute(statement.encode())
        found = session.execute("SELECT clock_timestamp()").fetchone()
        assert found is not None
        return found[0]  # type: ignore[no-any-return]


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[RecordedServer]:
    recorded = RecordedServer(tmp_path / "source")
    with recorded:
        yield recorded


def test_rows_deleted_later_are_there_at_the_moment_before(recorded: RecordedServer, tmp_path: Path) -> None:
    _run(recorded.server, "CREATE TABLE notes AS SELECT g FROM generate_series(1, 1000) g")
    before = _run(recorded.server, "INSERT INTO notes VALUES (1001)")
    _run(recorded.server, "DELETE FROM notes")

    with recorded.restore(tmp_path / "branch", Moment(time=before)) as branch:
        assert (_rows(branch), _rows(recorded.server)) == (1001, 0)


def test_a_copy_of_now_has_every_committed_row_and_goes_its_own_way(recorded: RecordedServer, tmp_path: Path) -> None:
    _run(recorded.server, "CREATE TABLE notes AS SELECT g FROM generate_series(1, 10) g")

    with recorded.restore(tmp_path / "branch", Moment()) as branch:
        _run(branch, "DELETE FROM notes")
        assert (_rows(branch), _rows(recorded.server)) == (0, 10)


def test_a_position_in_the_log_is_reached(recorded: RecordedServer, tmp_path: Path) -> None:
    _run(recorded.server, "CREATE TABLE notes AS SELECT 1 AS g")
    with psycopg.connect(recorded.server.url(), autocommit=True) as session:
        lsn = session.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert lsn is not None
    _run(recorded.server, "INSERT INTO notes VALUES (2)")

    with recorded.restore(tmp_path / "branch", Moment(lsn=lsn[0])) as branch:
        assert _rows(branch) == 1


def test_the_newest_copy_before_the_moment_is_the_start(recorded: RecordedServer, tmp_path: Path) -> None:
    _run(recorded.server, "CREATE TABLE notes AS SELECT 1 AS g")
    second = recorded.copy()
    after = _run(recorded.server, "INSERT INTO notes VALUES (2)")
    _run(recorded.server, "INSERT INTO notes VALUES (3)")
    for name in recorded.archive.iterdir():
        if name.name < "000000010000000000000003":
            name.unlink()  # the first copy could not be replayed any more

    with recorded.restore(tmp_path / "branch", Moment(time=after)) as branch:
        assert _rows(branch) == 2
    assert second.ended_at < after


def test_a_moment_before_the_history_is_refused(recorded: RecordedServer, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="before the server's history"):
        recorded.restore(tmp_path / "branch", Moment(time=datetime.now(UTC) - timedelta(hours=1)))


def test_a_server_that_is_gone_can_still_be_restored(recorded: RecordedServer, tmp_path: Path) -> None:
    _run(recorded.server, "CREATE TABLE notes AS SELECT 1 AS g")
    recorded.stop()

    with recorded.restore(tmp_path / "branch", Moment()) as branch:
        assert _rows(branch) == 1


def test_a_restored_server_has_a_history_of_its_own(recorded: RecordedServer, tmp_path: Path) -> None:
    _run(recorded.server, "CREATE TABLE notes AS SELECT 1 AS g")
    branch = recorded.restore(tmp_path / "branch", Moment())
    with branch as server:
        before = _run(server, "INSERT INTO notes VALUES (2)")
        _run(server, "DELETE FROM notes")
        with branch.restore(tmp_path / "twig", Moment(time=before)) as twig:
            assert _rows(twig) == 2


def test_a_stopped_server_goes_on_elsewhere_with_its_history(recorded: RecordedServer, tmp_path: Path) -> None:
    before = _run(recorded.server, "CREATE TABLE notes AS SELECT 1 AS g")
    recorded.stop()
    recorded.start()
    _run(recorded.server, "DELETE FROM notes")

    with recorded.restore(tmp_path / "branch", Moment(time=before)) as branch:
        assert _rows(branch) == 1
