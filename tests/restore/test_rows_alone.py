"""Rows alone go into tables that others may use: nothing is mixed, nobody waits for long, no number comes twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import psycopg
import pytest

from holdfast.contracts.manifest import Sequence as SequenceValue
from holdfast.contracts.restoring import Part
from holdfast.errors import DatabaseBusy, HoldfastError, TargetIncompatible, TargetNotEmpty
from holdfast.usecases.restore import running
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from holdfast.usecases.restore.statements import set_sequences
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

SCRIPT = """
    CREATE TYPE mood AS ENUM ('ok', 'bad');
    CREATE TABLE users (id serial PRIMARY KEY, mood mood, name varchar(20), at timestamptz);
    CREATE TABLE moods (mood mood, n int) PARTITION BY HASH (mood);
    CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE MATERIALIZED VIEW names AS SELECT name FROM users;
"""
ROWS = """
    INSERT INTO users (mood, name) SELECT 'ok', 'u' || n FROM generate_series(1, 2000) n;
    INSERT INTO moods SELECT (ARRAY['ok', 'bad'])[n % 2 + 1]::mood, n FROM generate_series(1, 3000) n;
    REFRESH MATERIALIZED VIEW names;
"""
COUNT = "SELECT count(*) FROM users"


@pytest.fixture(scope="module")
def source(databases: Databases) -> str:
    """Return the name of the source: read it, never change it."""
    return databases.create(SCRIPT, ROWS)


@pytest.fixture
def ready(databases: Databases, source: str, archiver: Archiver, wired: Callable[..., Machine]) -> Machine:
    archiver.take(databases.parameters(source))
    return wired(source)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for a lock for more than a moment."""
    monkeypatch.setattr(Part, "lock_timeout", "300ms")


def test_tables_of_many_chunks_and_roots_are_filled(databases: Databases, ready: Machine) -> None:
    into = databases.create(SCRIPT)

    ended = ready.run(into, kind="data")

    assert ended.proof.differences == ()
    assert databases.run(into, "SELECT count(*) FROM moods") == [(3000,)]


def test_a_row_that_came_since_the_assessment_ends_the_restore_and_nothing_is_mixed(
    databases: Databases, ready: Machine
) -> None:
    into = databases.create(SCRIPT)
    ready.between["prepared"] = lambda: databases.run(into, "INSERT INTO users (name) VALUES ('stranger')")

    with pytest.raises(TargetNotEmpty, match=r"public\.users has got rows since the restore was assessed"):
        ready.run(into, kind="data")

    assert databases.run(into, "SELECT name FROM users") == [("stranger",)]


@pytest.mark.usefixtures("hasty")
def test_whoever_is_writing_is_waited_for_before_a_table_counts_as_empty(databases: Databases, ready: Machine) -> None:
    into = databases.create(SCRIPT)
    assessed = ready.assess(into, kind="data")
    ready.prepare(assessed)

    with databases.connect(into) as writer:
        writer.autocommit = False
        writer.execute("INSERT INTO users (name) VALUES ('stranger')")
        with pytest.raises(DatabaseBusy):
            ready.map(assessed.load, load)
        writer.commit()

    with pytest.raises(TargetNotEmpty):
        ready.map(assessed.load, load)
    assert databases.run(into, COUNT) == [(1,)]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        pytest.param(
            "ALTER TABLE users ALTER at TYPE timestamp, ALTER id TYPE bigint",
            ["public.users has id as bigint where the point has integer, has at as timestamp without time zone where"],
            id="other types",
        ),
        pytest.param(
            "ALTER TABLE users RENAME name TO called", ["The table public.users has no column name."], id="another name"
        ),
        pytest.param(
            "ALTER TABLE users ADD more int NOT NULL",
            ["public.users demands values for more, which the point has not."],
            id="a column more that must have a value",
        ),
        pytest.param(
            "ALTER TYPE mood RENAME TO temper",
            ["public.users has mood as public.temper where", "public.moods_0 has mood as"],
            id="another type of ours",
        ),
    ],
)
def test_other_columns_are_refused_with_every_difference(
    databases: Databases, ready: Machine, change: str, sentences: list[str]
) -> None:
    error = ready.fails(databases.create(SCRIPT, change), kind="data")

    assert isinstance(error, TargetIncompatible)
    assert all(sentence in error.message for sentence in sentences), error.message


@pytest.mark.parametrize(
    ("enabled", "table", "each"),
    [
        pytest.param("ALWAYS", "users", "ROW", id="always"),
        pytest.param("REPLICA", "users", "STATEMENT", id="on replicas, which a quiet session looks like"),
        pytest.param("ALWAYS", "moods", "STATEMENT", id="of the root that rows go in through"),
    ],
)
def test_triggers_that_cannot_be_kept_still_are_named_before_anything_is_loaded(
    databases: Databases, ready: Machine, enabled: str, table: str, each: str
) -> None:
    into = databases.create(
        SCRIPT,
        f"""
        CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER loud AFTER INSERT ON {table} FOR EACH {each} EXECUTE FUNCTION tell();
        CREATE TRIGGER deaf AFTER DELETE ON {table} FOR EACH {each} EXECUTE FUNCTION tell();
        ALTER TABLE {table} ENABLE {enabled} TRIGGER loud, ENABLE {enabled} TRIGGER deaf;
        """,
    )

    error = ready.fails(into, kind="data")

    assert isinstance(error, TargetIncompatible)
    assert f"The table public.{table} has the trigger loud, which cannot be kept still" in error.message
    assert "deaf" not in error.message


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        pytest.param(
            "ALTER TABLE users ADD more int DEFAULT 7",
            "The table public.users has columns that the point has not, and which get their defaults: more.",
            id="a column more",
        ),
        pytest.param(
            "ALTER TABLE users DROP mood; ALTER TABLE users ADD mood mood",
            "The table public.users has its columns in another order: id, name, at, mood.",
            id="another order",
        ),
    ],
)
def test_columns_that_do_no_harm_are_told(databases: Databases, ready: Machine, change: str, warning: str) -> None:
    ended = ready.run(databases.create(SCRIPT, change), kind="data")

    assert ended.proof.differences == ()
    assert warning in ready.world.plan(ended.assessed.restore_id).warnings


def test_keys_to_tables_that_get_no_rows_are_told(databases: Databases, ready: Machine) -> None:
    into = databases.create(
        SCRIPT,
        """
        CREATE TABLE teams (id int PRIMARY KEY) PARTITION BY LIST (id);
        CREATE TABLE teams_0 PARTITION OF teams DEFAULT;
        ALTER TABLE users ADD CONSTRAINT team FOREIGN KEY (id) REFERENCES teams;
        ALTER TABLE moods ADD CONSTRAINT inside FOREIGN KEY (n) REFERENCES users;
        """,
    )

    assessed = ready.assess(into, kind="data")

    told = [each for each in ready.world.plan(assessed.restore_id).warnings if "foreign key" in each.lower()]
    assert len(told) == 2, told
    assert told[1].startswith("The foreign key team of public.users names rows of public.teams, which is not restored")


def test_a_role_that_may_not_fill_tables_or_set_sequences_is_refused(databases: Databases, ready: Machine) -> None:
    into = databases.create(SCRIPT)
    databases.run("postgres", "CREATE ROLE filler LOGIN PASSWORD 'filler'")
    databases.run(into, f"GRANT CREATE ON DATABASE {into} TO filler; GRANT SELECT ON users_id_seq TO filler")
    databases.run(into, "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO filler")
    ready.secrets.secrets["holdfast/target/other"] = databases.server.url("postgres", "filler", "filler")

    error = ready.fails(into, kind="data", target_secret="other")

    assert isinstance(error, TargetIncompatible)
    assert "filler may not read, fill and lock the table public.users." in error.message
    assert "filler may not act for the owner of the sequence public.users_id_seq" in error.message


@pytest.mark.usefixtures("hasty")
def test_a_view_that_somebody_reads_does_not_let_the_restore_wait_for_ever(
    databases: Databases, ready: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "MOST_ATTEMPTS", 2)
    into = databases.create(SCRIPT)
    assessed = ready.assess(into, kind="data")
    ready.prepare(assessed)
    ready.map(assessed.load, load)
    busy = list[HoldfastError]()

    with databases.connect(into) as reader:
        reader.autocommit = False
        reader.execute("EXPLAIN SELECT FROM names")
        for _ in range(4):
            for stage in assessed.finish:
                for item in ready.items(stage.items):
                    try:
                        finish(item, ready.world)
                    except DatabaseBusy as error:
                        busy.append(error)

    # From here on nobody is in the way for long, but autovacuum may be for a second.
    monkeypatch.setattr(Part, "lock_timeout", "10s")
    ended = ready.go_on(assessed)

    assert ended.proof.differences == ()
    assert len(busy) >= 4
    assert all("55P03" in error.message for error in busy)


@pytest.mark.parametrize("drawn", [False, True], ids=["nobody draws", "somebody draws"])
def test_a_sequence_is_set_while_nobody_draws_from_it(databases: Databases, drawn: bool) -> None:
    name = databases.create('CREATE SEQUENCE "s%s"')
    value = SequenceValue(schema_name="public", name="s%s", value=500, called=True)
    (document,) = set_sequences([value], forward_only=True)

    with databases.connect(name) as drawing, databases.connect(name) as setting:
        drawing.autocommit = False
        if drawn:
            drawing.execute("""SELECT nextval('"s%s"')""")
        setting.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable) if drawn else nullcontext():
            setting.execute(document.statements[0].encode())
        drawing.rollback()

    assert databases.run(name, 'SELECT last_value FROM "s%s"') == [(1 if drawn else 500,)]
