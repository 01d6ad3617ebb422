"""See what the sessions of a restore are at, also those that nobody listens to any more."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.rows import dict_row

from holdfast.adapters.postgres import marks
from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import literal
from holdfast.model.progress import Sight

_PREFIX = "holdfast restore "
_LONGEST = 63
_COUNTS = (
    "i.blocks_done",
    "i.blocks_total",
    "i.tuples_done",
    "i.tuples_total",
    "n.sample_blks_scanned",
    "n.sample_blks_total",
    "n.ext_stats_computed",
    "n.ext_stats_total",
)
# Who has written a mark is in the middle of a slice, whatever his state is said to be; names alone would take
# somebody who is done, or frozen before he sent anything, for one at work. A role always sees its own sessions.
_AT_WORK = f"""
SELECT a.application_name AS name, date_part('epoch', clock_timestamp() - a.xact_start) AS seconds,
       COALESCE(i.phase, n.phase) AS phase, {", ".join(_COUNTS)},
       CASE WHEN a.wait_event_type = 'Lock' THEN
         (SELECT string_agg(COALESCE(NULLIF(b.application_name, ''), 'process ' || b.pid), ', ' ORDER BY b.pid)
          FROM pg_catalog.pg_stat_activity b WHERE b.pid = ANY (pg_catalog.pg_blocking_pids(a.pid)))
       END AS behind
FROM pg_catalog.pg_stat_activity a
LEFT JOIN pg_catalog.pg_stat_progress_create_index i ON i.pid = a.pid
LEFT JOIN pg_catalog.pg_stat_progress_analyze n ON n.pid = a.pid
WHERE a.datname = current_database() AND a.backend_type = 'client backend'
  AND a.application_name = ANY (%s) AND a.pid <> pg_catalog.pg_backend_pid()
  AND EXISTS (SELECT FROM pg_catalog.pg_locks l
              WHERE l.pid = a.pid AND l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
                AND l.relation = {literal(marks.MARKS)}::pg_catalog.regclass)
ORDER BY a.xact_start LIMIT 1
"""  # noqa: S608  # constants only


def name_of(mark: str) -> str:
    """Return what the server's list of sessions calls the one that works on *mark*."""
    return (_PREFIX + mark)[:_LONGEST]


def at_work(connection: Connection, wanted: Sequence[str]) -> Sight | None:
    """Return what the first session is at that works on one of the marks *wanted*; nothing when none does."""
    names = {name_of(mark): mark for mark in wanted}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_AT_WORK.encode(), (list(names),)).fetchone()
    if row is None:
        return None
    counts = {name: int(row[name]) for name in (each.partition(".")[2] for each in _COUNTS) if row[name] is not None}
    return Sight(names[row["name"]], float(row["seconds"] or 0), row["phase"] or "", row["behind"] or "", counts)
