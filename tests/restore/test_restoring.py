"""The whole way from an intact point to a proven database."""

from __future__ import annotations

from holdfast.model.points import PointState
from restore.conftest import Databases
from restore.running import Machine


def test_a_restored_database_is_proven_identical(databases: Databases, restored: Machine) -> None:
    into = databases.name()

    ended = restored.run(into)

    assert ended.proof.differences == ()
    assert ended.proof.proven
    assert ended.report.succeeded
    point = restored.archiver.points.get(ended.assessed.point_id)
    assert point.state is PointState.PROVEN


ABOUT_THE_DATABASE = """
    SELECT pg_get_userbyid(datdba), shobj_description(oid, 'pg_database'),
           has_database_privilege('shop reader', oid, 'CONNECT'),
           ARRAY(SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setdatabase = d.oid ORDER BY 1)
    FROM pg_database d WHERE datname = current_database()
"""


def test_the_database_itself_is_what_it_was(databases: Databases, restored: Machine, shop: str) -> None:
    into = databases.name()

    restored.run(into)

    assert databases.run(into, ABOUT_THE_DATABASE) == databases.run(shop, ABOUT_THE_DATABASE)
    assert databases.run(into, "SHOW work_mem") == [("8MB",)]


def test_applications_can_work_with_the_restored_database(databases: Databases, restored: Machine) -> None:
    into = databases.name()
    restored.run(into)

    databases.run(into, "INSERT INTO app.users (email) VALUES ('new@example.com')")
    databases.run(into, "UPDATE app.users SET mood = 'ok' WHERE email = 'new@example.com'")

    found = databases.run(
        into, "SELECT id, lower_email, updated_at::text FROM app.users WHERE email = 'new@example.com'"
    )
    assert found == [(2001, "new@example.com", "2026-01-01 00:00:00+00")]
    assert databases.run(into, "SELECT lo_get(4711, 0, 3), length(lo_get(4712))") == [(b"\x00\xff\x10", 100003)]
