"""What assessing refuses, in which words, and that nothing is touched then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from fakes import MemorySigner
from holdfast.archive.sealing import canonical
from holdfast.contracts.manifest import Extension, Manifest
from holdfast.errors import (
    ArchiveDamaged,
    BadConfiguration,
    BadRequest,
    PointNotRestorable,
    PooledEndpoint,
    RestoreAlreadyRunning,
    SignatureInvalid,
    TargetIncompatible,
    TargetNotEmpty,
    UnknownDatabase,
    UnknownPoint,
)
from holdfast.model.keys import MANIFEST, PUBLIC_KEY, SIGNATURE, VERIFICATION, ArchiveKeys
from holdfast.model.points import PointState
from holdfast.ports.catalogue import RestoreRun
from restore.archiving import NOON, Archiver
from restore.conftest import Databases
from restore.running import Machine


@pytest.fixture(scope="module")
def little(databases: Databases) -> str:
    return databases.create("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")


@pytest.fixture
def ready(databases: Databases, little: str, archiver: Archiver, wired: Callable[..., Machine]) -> Machine:
    archiver.take(databases.parameters(little))
    return wired(little)


def manifest_of(machine: Machine) -> Manifest:
    point = machine.archiver.points.newest_first("shop")[0]
    return Manifest.model_validate_json(machine.archiver.archive.read(ArchiveKeys("shop").of_point(point.id, MANIFEST)))


def resealed(machine: Machine, **changes: object) -> None:
    """Take a newer point whose manifest says something else."""
    manifest = manifest_of(machine)
    later = NOON + timedelta(days=1)
    point_id = f"shop-{later:%Y%m%dt%H%M%Sz}-00000b"
    machine.archiver.seal(manifest.model_copy(update={"point_id": point_id, **changes}), later)


def test_an_unknown_database_is_refused_with_those_that_there_are(ready: Machine) -> None:
    error = ready.fails("any", database="shopp")

    assert isinstance(error, UnknownDatabase)
    assert "shop" in error.hint


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param("shop-20200101t000000z-ffffff", id="no such point"),
        pytest.param("other-20200101t000000z-ffffff", id="another database's"),
        pytest.param("yesterday", id="no id at all"),
    ],
)
def test_an_unknown_point_is_refused_with_the_newest_ones(ready: Machine, wanted: str) -> None:
    error = ready.fails("any", point=wanted)

    assert isinstance(error, UnknownPoint)
    assert "shop-20260131t120000z-00000a (intact)" in error.hint


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        pytest.param(PointState.CAPTURING, "Wait until", id="being captured"),
        pytest.param(PointState.CAPTURED, "holdfast verify", id="not verified yet"),
        pytest.param(PointState.FAILED, "another point", id="failed"),
        pytest.param(PointState.EXPIRED, "gone", id="expired"),
    ],
)
def test_an_unfinished_point_is_refused_with_what_to_do(ready: Machine, state: PointState, remedy: str) -> None:
    point = ready.archiver.points.newest_first("shop")[0]
    ready.archiver.with_state(point, state, failure="The disk was full.")

    error = ready.fails("any", point=point.id)

    assert isinstance(error, PointNotRestorable)
    assert f"is {state}" in error.message
    assert remedy in error.hint


def test_latest_is_the_newest_point_that_may_be_restored(ready: Machine) -> None:
    resealed(ready)
    newest = ready.archiver.points.newest_first("shop")[0]
    ready.archiver.with_state(newest, PointState.CAPTURED)

    assessed = ready.assess("fresh_latest")

    assert assessed.point_id == "shop-20260131t120000z-00000a"


def test_latest_proven_is_refused_while_nothing_is_proven(ready: Machine) -> None:
    error = ready.fails("any", point="latest-proven")

    assert isinstance(error, UnknownPoint)
    assert "no proven recovery point" in error.message


def test_the_database_that_is_backed_up_is_never_restored_over(ready: Machine, little: str) -> None:
    error = ready.fails(little)

    assert isinstance(error, TargetNotEmpty)
    assert "the backup was taken from" in error.message


def test_a_target_that_holds_something_is_refused_with_what_it_holds(ready: Machine, databases: Databases) -> None:
    into = databases.create(
        "CREATE TABLE precious (a int); CREATE VIEW v AS SELECT 1; CREATE FUNCTION f() RETURNS int RETURN 1"
    )

    error = ready.fails(into)

    assert isinstance(error, TargetNotEmpty)
    assert "table public.precious" in error.message
    assert "view public.v" in error.message
    assert databases.run(into, "SELECT count(*) FROM precious") == [(0,)]


def test_what_an_earlier_restore_left_is_refused_by_its_name(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    first = ready.assess(into)
    ready.prepare(first)
    ready.report(first, "ProgramFailed", "It broke.")

    error = ready.fails(into)

    assert isinstance(error, TargetNotEmpty)
    assert first.restore_id in error.message


def test_an_empty_database_is_taken(ready: Machine, databases: Databases) -> None:
    into = databases.create()

    ended = ready.run(into)

    assert ended.proof.proven


def test_an_empty_database_of_another_encoding_is_refused(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    databases.run("postgres", f"CREATE DATABASE {into} TEMPLATE template0 ENCODING 'LATIN1'")

    error = ready.fails(into)

    assert isinstance(error, TargetIncompatible)
    assert "LATIN1" in error.message


def test_a_missing_extension_is_named(ready: Machine, databases: Databases) -> None:
    extension = Extension(name="postgis", version="3.5", schema_name="public")
    resealed(ready, extensions=(*manifest_of(ready).extensions, extension))
    into = databases.name()

    error = ready.fails(into)

    assert isinstance(error, TargetIncompatible)
    assert "postgis" in error.message
    assert not databases.exists(into)


def test_more_tables_than_the_targets_lock_table_takes_are_refused(ready: Machine, databases: Databases) -> None:
    (table,) = manifest_of(ready).tables
    resealed(ready, tables=tuple(table.model_copy(update={"name": f"t{n}"}) for n in range(20_000)))
    into = databases.name()

    error = ready.fails(into)

    assert isinstance(error, TargetIncompatible)
    assert "comparing 20000 tables" in error.message
    assert "Set max_locks_per_transaction to at least " in error.hint
    assert not databases.exists(into)


def test_an_extension_of_another_version_is_a_warning(ready: Machine, databases: Databases) -> None:
    resealed(ready, extensions=(Extension(name="plpgsql", version="0.9", schema_name="pg_catalog"),))

    assessed = ready.assess(databases.name())

    assert any("plpgsql" in warning for warning in ready.world.plan(assessed.restore_id).warnings)


def test_a_role_without_privileges_is_told_which_it_needs(ready: Machine, databases: Databases) -> None:
    databases.run("postgres", "DROP ROLE IF EXISTS weak")
    databases.run("postgres", "CREATE ROLE weak LOGIN PASSWORD 'weak'")
    ready.secrets.secrets["holdfast/target/other"] = databases.server.url("postgres", "weak", "weak")

    error = ready.fails("any", target_secret="other")

    assert isinstance(error, TargetIncompatible)
    assert 'ALTER ROLE "weak" CREATEDB' in error.hint


@pytest.mark.parametrize("secret", ["holdfast/shop", "anything", "holdfast/target/", "HOLDFAST/target/x"])
def test_only_secrets_of_targets_may_be_named(ready: Machine, secret: str) -> None:
    error = ready.fails("any", target_secret=secret)

    assert type(error) is BadRequest
    assert "holdfast/target/" in error.hint


def test_a_target_may_be_named_by_its_secret(ready: Machine, databases: Databases) -> None:
    ready.secrets.secrets["holdfast/target/spare"] = databases.server.url("postgres")

    assessed = ready.assess(databases.name(), target_secret="holdfast/target/spare")

    assert ready.world.plan(assessed.restore_id).secret == "holdfast/target/spare"


def test_a_secret_that_does_not_exist_is_named(ready: Machine) -> None:
    error = ready.fails("any", target_secret="holdfast/target/none")

    assert isinstance(error, BadConfiguration)
    assert "holdfast/target/none" in error.message


def test_a_pooled_target_is_refused(ready: Machine) -> None:
    ready.secrets.secrets["holdfast/target/other"] = "postgresql://u:p@ep-calm-1-pooler.eu-1.aws.neon.tech/db"

    error = ready.fails("any", target_secret="other")

    assert isinstance(error, PooledEndpoint)
    assert "ep-calm-1.eu-1.aws.neon.tech" in error.hint


def test_two_restores_into_one_name_do_not_meet(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    first = ready.assess(into)
    run = ready.restores.get(first.restore_id)
    assert run is not None
    ready.executions.alive.add(run.execution)

    error = ready.fails(into)

    assert isinstance(error, RestoreAlreadyRunning)
    assert first.restore_id in error.message
    assert ready.go_on(first).proof.proven


def test_a_point_that_expires_while_its_restore_is_planned_is_refused(
    ready: Machine, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = databases.name()
    begin = ready.restores.begin
    point = ready.archiver.points.newest_first("shop")[0]

    def expiring(run: RestoreRun) -> None:
        ready.archiver.points.advance(point.id, PointState.EXPIRED, expired_why="It is 40 days old.")
        begin(run)

    monkeypatch.setattr(ready.restores, "begin", expiring)

    error = ready.fails(into)

    assert isinstance(error, PointNotRestorable)
    assert error.message.endswith("expired while its restore was planned: It is 40 days old.")
    assert not databases.exists(into)


def test_the_lock_of_a_restore_that_died_is_taken_over(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    first = ready.assess(into)

    second = ready.assess(into)

    assert ready.go_on(second).proof.proven
    assert ready.restores.runs[first.restore_id].state == "failed"


def test_a_plan_alone_touches_and_takes_nothing_and_is_refused_like_a_restore(
    ready: Machine, databases: Databases
) -> None:
    into = databases.name()

    planned = ready.assess(into, plan_only=True)
    first = ready.assess(into)
    beside_a_dead_one = ready.assess(into, plan_only=True)
    ready.executions.alive.add(ready.restores.runs[first.restore_id].execution)
    error = ready.fails(into, plan_only=True)

    assert planned.plan_only
    assert beside_a_dead_one.plan_only
    assert not first.plan_only
    assert not databases.exists(into)
    assert list(ready.restores.runs) == [first.restore_id]
    assert isinstance(error, RestoreAlreadyRunning)
    assert ready.restores.runs[first.restore_id].state == "running"


def test_a_refused_restore_gives_its_target_back(ready: Machine, databases: Databases) -> None:
    into = databases.create("CREATE TABLE precious (a int)")
    ready.fails(into)
    databases.run(into, "DROP TABLE precious")

    ended = ready.run(into)

    assert ended.proof.proven


def test_a_manifest_that_was_changed_is_refused(ready: Machine) -> None:
    manifest = manifest_of(ready)
    forged = canonical(manifest.model_copy(update={"tables": ()}))
    ready.archiver.archive.damage(ArchiveKeys("shop").of_point(manifest.point_id, MANIFEST), forged)

    error = ready.fails("any")

    assert isinstance(error, SignatureInvalid)


def test_a_manifest_signed_by_somebody_else_is_refused_although_all_of_it_fits(ready: Machine) -> None:
    manifest, forger, keys = manifest_of(ready), MemorySigner(), ArchiveKeys("shop")
    point = ready.archiver.points.newest_first("shop")[0]
    forged = canonical(manifest.model_copy(update={"tables": ()}))
    sha256 = hashlib.sha256(forged)
    ready.archiver.archive.damage(keys.of_point(point.id, MANIFEST), forged)
    ready.archiver.archive.damage(keys.of_point(point.id, SIGNATURE), forger.sign(sha256.digest()))
    ready.archiver.archive.damage(keys.of_point(point.id, PUBLIC_KEY), forger.public_key())
    ready.archiver.points.points[point.id] = replace(point, manifest_sha256=sha256.hexdigest())

    error = ready.fails("any")

    assert isinstance(error, SignatureInvalid)
    assert "sealing key" in error.message


def test_another_public_key_beside_the_manifest_is_refused(ready: Machine) -> None:
    point = ready.archiver.points.newest_first("shop")[0]
    key = ArchiveKeys("shop").of_point(point.id, PUBLIC_KEY)
    ready.archiver.archive.damage(key, MemorySigner().public_key())

    assert isinstance(ready.fails("any"), SignatureInvalid)


def test_a_point_whose_verification_is_of_another_manifest_is_refused(ready: Machine) -> None:
    point = ready.archiver.points.newest_first("shop")[0]
    key = ArchiveKeys("shop").of_point(point.id, VERIFICATION)
    body = ready.archiver.archive.read(key).replace(point.manifest_sha256.encode(), b"0" * 64)
    ready.archiver.archive.damage(key, body)

    error = ready.fails("any")

    assert isinstance(error, ArchiveDamaged)
    assert "Verify it again" in error.hint


def test_a_verification_that_the_catalogue_does_not_know_is_refused(ready: Machine) -> None:
    point = ready.archiver.points.newest_first("shop")[0]
    key = ArchiveKeys("shop").of_point(point.id, VERIFICATION)
    known = hashlib.sha256(ready.archiver.archive.read(key)).hexdigest()
    ready.archiver.points.advance(point.id, point.state, verification_sha256=known)
    ready.archiver.archive.damage(key, ready.archiver.archive.read(key) + b"\n")

    error = ready.fails("any")

    assert isinstance(error, ArchiveDamaged)
    assert "is not the one that the catalogue knows" in error.message


def test_a_damaged_schema_dump_is_refused_before_anything_is_touched(ready: Machine, databases: Databases) -> None:
    manifest = manifest_of(ready)
    ready.archiver.archive.damage(manifest.schema_dump.key, b"PGDMP")
    into = databases.name()

    error = ready.fails(into)

    assert isinstance(error, ArchiveDamaged)
    assert not databases.exists(into)


def test_assessing_touches_nothing_in_the_target(ready: Machine, databases: Databases) -> None:
    into = databases.name()

    assessed = ready.assess(into)

    assert not databases.exists(into)
    assert [item.stage for item in ready.items(assessed.load)] == ["load"]
    assert ready.world.plan(assessed.restore_id).into == into


@pytest.mark.parametrize("into", ["postgres", "template0", "template1", "rdsadmin", "azure_sys", "cloudsqladmin"])
def test_a_database_of_the_server_itself_is_never_filled(ready: Machine, databases: Databases, into: str) -> None:
    error = ready.fails(into)

    assert isinstance(error, TargetNotEmpty)
    assert f"{into} is a database of the server itself" in error.message


def test_a_template_is_never_filled(ready: Machine, databases: Databases) -> None:
    into = databases.create()
    databases.run("postgres", f"ALTER DATABASE {into} IS_TEMPLATE true")

    error = ready.fails(into)

    assert isinstance(error, TargetNotEmpty)
    assert "is a template" in error.message


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        pytest.param("CREATE TYPE mine AS (a int)", "type public.mine", id="composite type"),
        pytest.param("CREATE TYPE e AS ENUM ('a')", "type public.e", id="enum"),
        pytest.param("CREATE DOMAIN d AS int", "type public.d", id="domain"),
        pytest.param("CREATE PUBLICATION all_ FOR ALL TABLES", "publication all_", id="publication"),
        pytest.param("CREATE EXTENSION hstore", "extension hstore", id="extension"),
        pytest.param("CREATE FOREIGN DATA WRAPPER w", "foreign-data wrapper w", id="foreign-data wrapper"),
        pytest.param("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC", "default acl", id="default privileges"),
        pytest.param(
            "CREATE OPERATOR === (leftarg=int,rightarg=int,procedure=int4eq)", "operator public.===", id="operator"
        ),
        pytest.param("CREATE CAST (text AS int) WITH INOUT", "cast (pg_catalog.text AS integer)", id="cast"),
        pytest.param("CREATE TEXT SEARCH CONFIGURATION c (copy=simple)", "text search configuration", id="text search"),
        pytest.param("CREATE COLLATION c (locale='C')", "collation public.c", id="collation"),
        pytest.param("SELECT lo_create(5)", "large object 5", id="large object with a low number"),
        pytest.param(
            "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; "
            "CREATE EVENT TRIGGER w ON sql_drop EXECUTE FUNCTION e()",
            "event trigger w",
            id="event trigger",
        ),
        pytest.param(
            "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION y WITH (connect=false)", "subscription s",
            id="subscription",
        ),
        pytest.param(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''64kB''', current_database()); END $$",
            "setting work_mem",
            id="the database's settings",
        ),
    ],
)  # fmt: skip
def test_whatever_lies_in_the_target_is_found(ready: Machine, databases: Databases, statement: str, named: str) -> None:
    into = databases.create(statement)

    error = ready.fails(into)

    assert isinstance(error, TargetNotEmpty)
    assert named in error.message


def test_a_new_database_is_empty_whatever_template_it_has(ready: Machine, databases: Databases) -> None:
    into = databases.create(template="template1")

    assert ready.assess(into).into == into


@pytest.mark.parametrize("into", ["a\nb", "a\tb", "\x7f", "a\0"])
def test_names_with_control_characters_are_refused(ready: Machine, into: str) -> None:
    with pytest.raises(ValidationError):
        ready.request(into)
