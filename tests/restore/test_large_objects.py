"""Many large objects are restored by their list: owners, grants, comments, and objects that hold nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from holdfast_local.postgres import EmbeddedPostgres
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

DESCRIBED = """
    SELECT md5(string_agg(format('%s %s %s', oid, replace(pg_get_userbyid(lomowner), 'admin', 'postgres'),
                                 md5(lo_get(oid))), ',' ORDER BY oid)),
           count(*), count(lomacl), count(obj_description(oid, 'pg_largeobject'))
    FROM pg_largeobject_metadata
"""
MANY = """
    SELECT lo_create(100000 + n) FROM generate_series(1, 5000) n;
    SELECT lo_put(oid, 0, convert_to(oid::text, 'UTF8')) FROM pg_largeobject_metadata WHERE oid::int % 3 = 0;
    DO $$ DECLARE n int; write text := 'GRANT UPDATE ON LARGE OBJECT %s TO "a ""writer" WITH GRANT OPTION'; BEGIN
      FOR n IN 100001..105000 LOOP
        IF n % 2 = 0 THEN EXECUTE format('ALTER LARGE OBJECT %s OWNER TO "an owner"', n); END IF;
        IF n % 10 = 0 THEN EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO PUBLIC', n); END IF;
        IF n % 10 = 5 THEN EXECUTE format(write, n); END IF;
        IF n % 50 = 0 THEN EXECUTE format('COMMENT ON LARGE OBJECT %s IS E''%s\\n it''''s''', n, n); END IF;
      END LOOP;
    END $$
"""
CUT = """
    SELECT lo_from_bytea(1, repeat('x', 5000)::bytea), lo_create(2), lo_create(3), lo_from_bytea(4, 'y'), lo_create(5);
    SELECT lo_truncate(lo_open(1, 131072), 0), lo_truncate(lo_open(2, 131072), 10240),
           lo_truncate(lo_open(3, 131072), 2048), lo_truncate(lo_open(4, 131072), 4096);
    SELECT lo_put(3, 100000, 'far behind')
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return another server, which has the owner's role and one that is no superuser but may act for it."""
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("elsewhere")) as server:
        databases = Databases(server)
        databases.run("postgres", "CREATE ROLE admin LOGIN PASSWORD 'admin' CREATEDB CREATEROLE")
        databases.run("postgres", 'CREATE ROLE "an owner" ROLE admin')
        yield databases


@pytest.fixture(scope="module")
def many(databases: Databases) -> str:
    databases.run("postgres", 'CREATE ROLE "an owner"')
    databases.run("postgres", 'CREATE ROLE "a ""writer"')
    return databases.create(MANY)


@pytest.mark.parametrize("role", ["postgres", "admin"])
def test_thousands_of_large_objects_keep_owners_grants_and_comments(
    elsewhere: Databases, databases: Databases, many: str, archiver: Archiver, wired: Callable[..., Machine], *,
    role: str,
) -> None:  # fmt: skip
    archiver.take(databases.parameters(many))
    machine, into = wired(many), elsewhere.name()
    url = elsewhere.server.url("postgres") if role == "postgres" else elsewhere.server.url("postgres", role, role)
    machine.secrets.secrets["holdfast/target/other"] = url

    ended = machine.run(into, target_secret="other")

    assert ended.proof.differences == ()
    # What belongs to a superuser belongs to the role that restored.
    assert elsewhere.run(into, DESCRIBED) == databases.run(many, DESCRIBED)


def test_what_was_cut_off_stays_cut_off(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    source, into = databases.create(CUT), databases.name()
    archiver.take(databases.parameters(source))
    sizes = (
        "SELECT oid, lo_lseek64(lo_open(oid, 262144), 0, 2), md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1"
    )

    ended = wired(source).run(into)

    assert ended.proof.differences == ()
    assert databases.run(into, sizes) == databases.run(source, sizes)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        pytest.param('ALTER LARGE OBJECT 100003 OWNER TO "an owner"', "100003 has another owner", id="owner"),
        pytest.param("REVOKE SELECT ON LARGE OBJECT 100010 FROM PUBLIC", "100010 has another owner", id="fewer grants"),
        pytest.param("GRANT SELECT ON LARGE OBJECT 100001 TO PUBLIC", "100001 has another owner", id="more grants"),
        pytest.param("COMMENT ON LARGE OBJECT 100050 IS NULL", "100050 has another owner", id="comment"),
        pytest.param("SELECT lo_unlink(100001)", "100001 is missing", id="an empty one is missing"),
        pytest.param(
            "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid < 100031", "20 more large objects differ",
            id="many",
        ),
        pytest.param(
            "UPDATE holdfast_restore.large_objects SET comment = 'forged' WHERE oid = 100001",
            "pg_largeobject_metadata has the same number of rows", id="the list",
        ),
    ],
)  # fmt: skip
def test_another_owner_grant_or_comment_is_a_difference(
    databases: Databases, many: str, archiver: Archiver, wired: Callable[..., Machine], *, statement: str, named: str
) -> None:
    archiver.take(databases.parameters(many))
    machine, into = wired(many), databases.name()
    machine.between["finished"] = lambda: databases.run(into, statement)

    ended = machine.run(into)

    assert not ended.proof.proven
    assert any(named in difference for difference in ended.proof.differences)
