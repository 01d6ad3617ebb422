"""Give a session that builds indexes the memory and the helpers that its server can spare, and no more."""

from __future__ import annotations

from holdfast.adapters.postgres.connect import Connection

_MOST = 1 << 30
_MOST_HELPERS = 4
# Who runs a server tells by shared_buffers, a quarter to three quarters of its memory, how large it is. Never less
# than what the server gives anybody.
_LEND = """
SELECT set_config('maintenance_work_mem', greatest(
           pg_size_bytes(current_setting('maintenance_work_mem')),
           least(%(most)s, pg_size_bytes(current_setting('shared_buffers')) / 4 / %(beside)s)) / 1024 || 'kB', false),
       set_config('max_parallel_maintenance_workers', greatest(
           current_setting('max_parallel_maintenance_workers')::int,
           least(%(helpers)s, current_setting('max_parallel_workers')::int / %(beside)s))::text, false)
"""
_SPARE = """
SELECT set_config('maintenance_work_mem', boot_val || 'kB', false),
       set_config('max_parallel_maintenance_workers', '0', false)
FROM pg_catalog.pg_settings WHERE name = 'maintenance_work_mem'
"""


def lend_memory(connection: Connection, *, beside: int) -> None:
    """
    Let the session sort in memory what it can: a quarter of the shared buffers for all of *beside* sessions.

    On a server that nobody has tuned that is no more than it gives anyway.
    """
    connection.execute(_LEND.encode(), {"most": _MOST, "helpers": _MOST_HELPERS, "beside": max(1, beside)})


def spare_memory(connection: Connection) -> None:
    """Let the session take as little as PostgreSQL ever does: those before it were lost, perhaps for want of memory."""
    connection.execute(_SPARE.encode())
