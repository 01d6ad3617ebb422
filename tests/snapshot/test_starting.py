"""What a backup refuses before it begins, and how runs of one database meet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.adapters.postgres import checks
from holdfast.adapters.postgres.marks import create_marks
from holdfast.errors import (
    AuthenticationFailed,
    BackupAlreadyRunning,
    BadConfiguration,
    DatabaseUnreachable,
    PooledEndpoint,
    PrivilegeMissing,
    ServerTooNew,
    ServerTooOld,
    SourceRefused,
)
from holdfast.model.points import PointState, Tier
from snapshot.pooler import pooler
from snapshot.rig import DATABASE, Rig, now
from snapshot.servers import Databases


def as_role(rig: Rig, role: str) -> Rig:
    rig.parameters = replace(rig.parameters, user=role, password="secret")
    return rig


def test_a_second_backup_of_a_database_names_the_one_that_runs(small: Rig) -> None:
    started = small.start("arn:one")

    with pytest.raises(BackupAlreadyRunning, match=started.point_id) as refused:
        small.start("arn:two")

    assert refused.value.ids["execution"] == "arn:one"


def test_the_lock_of_a_dead_execution_is_taken_over_and_its_point_fails(small: Rig) -> None:
    dead = small.start("arn:one")
    small.executions.alive.clear()

    started = small.start("arn:two")

    assert small.points.get(dead.point_id).state is PointState.FAILED
    assert small.points.lock_holder(DATABASE) == (started.point_id, "arn:two")


def test_the_lock_of_a_point_that_is_gone_does_not_last_for_ever(small: Rig) -> None:
    small.points.locks[DATABASE] = ("shop-20200101t000000z-000000", "arn:gone")

    assert small.start("arn:two").point_id


def test_the_lock_of_a_run_that_sealed_its_point_but_died_leaves_the_point_alone(small: Rig) -> None:
    sealed = small.backup()
    small.points.locks[DATABASE] = (sealed.id, "arn:dead")

    small.start("arn:two")

    assert small.points.get(sealed.id).state is PointState.CAPTURED


@pytest.mark.parametrize(
    ("host", "suggested"),
    [
        ("ep-cool-1234-pooler.eu-central-1.aws.neon.tech", "ep-cool-1234.eu-central-1.aws.neon.tech"),
        ("shop.proxy-abc123.eu-central-1.rds.amazonaws.com", "direct"),
        ("aws-0-eu-central-1.pooler.supabase.com", "direct"),
    ],
)
def test_a_poolers_host_is_refused_with_what_to_give_instead(small: Rig, host: str, suggested: str) -> None:
    small.parameters = replace(small.parameters, host=host)

    with pytest.raises(PooledEndpoint) as refused:
        small.start()

    assert suggested in refused.value.hint


@pytest.mark.parametrize(
    "host",
    ["db.example.com", "shop.abc123.eu-central-1.rds.amazonaws.com", "ep-cool-1234.eu-central-1.aws.neon.tech"],
)
def test_a_direct_host_is_not_taken_for_a_pooler(small: Rig, host: str) -> None:
    checks.refuse_pooled_host(replace(small.parameters, host=host))


def test_a_pooler_behind_an_ordinary_name_is_found_out(small: Rig) -> None:
    with pooler(small.parameters.host, small.parameters.port) as port:
        small.parameters = replace(small.parameters, port=port)

        with pytest.raises(PooledEndpoint, match=str(port)):
            small.start()


def test_a_table_without_select_is_named_with_its_grant(small: Rig, databases: Databases) -> None:
    role = databases.role()
    with databases.connect(small.parameters) as session:
        session.execute(f"GRANT SELECT ON users TO {role}".encode())

    with pytest.raises(PrivilegeMissing) as refused:
        as_role(small, role).start()

    assert '"public"."orders"' in refused.value.message
    assert "users" not in refused.value.message
    assert f'GRANT SELECT ON TABLE "public"."orders" TO "{role}";' in refused.value.hint
    assert "pg_read_all_data" in refused.value.hint


def test_a_sequence_without_select_is_named_too(small: Rig, databases: Databases) -> None:
    role = databases.role()
    with databases.connect(small.parameters) as session:
        session.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())

    with pytest.raises(PrivilegeMissing) as refused:
        as_role(small, role).start()

    assert f'GRANT SELECT ON SEQUENCE "public"."orders_id_seq" TO "{role}";' in refused.value.hint


def test_exactly_the_grants_that_are_asked_for_suffice(small: Rig, databases: Databases) -> None:
    role = databases.role()
    with databases.connect(small.parameters) as session:
        session.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
        session.execute(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}".encode())

    point = as_role(small, role).backup()

    assert small.verify(point.id).intact


def test_limits_that_a_role_has_for_short_queries_do_not_hold_for_backups(small: Rig, databases: Databases) -> None:
    role = databases.role("IN ROLE pg_read_all_data")
    with databases.connect(small.parameters) as session:
        for name in ("statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout"):
            session.execute(f"ALTER ROLE {role} SET {name} = '150ms'".encode())
        session.execute("CREATE TABLE slow AS SELECT n, repeat('x', 1000) FROM generate_series(1, 200000) n")

    point = as_role(small, role).backup()

    assert small.verify(point.id).intact


def test_a_schema_without_usage_is_named_too(small: Rig, databases: Databases) -> None:
    role = databases.role()
    with databases.connect(small.parameters) as session:
        session.execute('CREATE SCHEMA "in side"; CREATE TABLE "in side".a ()')
        session.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA public, "in side" TO {role}'.encode())

    with pytest.raises(PrivilegeMissing, match='GRANT USAGE ON SCHEMA "in side"'):
        as_role(small, role).start()


def test_row_security_is_named_with_bypassrls(small: Rig, databases: Databases) -> None:
    role = databases.role("IN ROLE pg_read_all_data")
    with databases.connect(small.parameters) as session:
        session.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")

    with pytest.raises(PrivilegeMissing, match=r"orders.*BYPASSRLS"):
        as_role(small, role).start()


def test_a_role_that_reads_all_data_is_enough(small: Rig, databases: Databases) -> None:
    point = as_role(small, databases.role("IN ROLE pg_read_all_data")).backup()

    assert small.verify(point.id).intact


def test_a_wrong_password_leaves_nothing_behind(small: Rig) -> None:
    small.parameters = replace(small.parameters, password="wrong")

    with pytest.raises(AuthenticationFailed):
        small.start()

    assert not small.points.points
    assert not small.points.locks


def test_an_unreachable_server_may_be_tried_again(small: Rig) -> None:
    small.parameters = replace(small.parameters, port=1)

    with pytest.raises(DatabaseUnreachable):
        small.start()


def test_a_database_that_does_not_exist_is_a_fault_of_its_secret(small: Rig) -> None:
    small.parameters = small.parameters.with_database("nowhere")

    with pytest.raises(BadConfiguration):
        small.start()


def test_a_server_newer_than_the_client_is_refused(small: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "client_version", lambda: "17.10")

    with pytest.raises(ServerTooNew, match=r"18.*17"):
        small.start()


def test_a_table_too_large_to_be_copied_whole_is_refused_where_the_server_gives_no_ranges(
    small: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "WHOLE_TABLE_BYTES", 64 << 10)
    assert small.start("arn:one").point_id
    small.points.locks.clear()
    monkeypatch.setattr(checks, "TID_RANGES_SINCE", 990_000)

    with pytest.raises(ServerTooOld, match=r'"public"."users"\. Upgrade the server to PostgreSQL 14') as refused:
        small.start("arn:two")

    assert "orders" not in refused.value.message


def test_starting_may_be_repeated_by_the_same_execution(small: Rig) -> None:
    from datetime import UTC, datetime

    from holdfast.contracts.backup import BackupRequest
    from holdfast.usecases.snapshot.start import start_backup

    request = BackupRequest(
        database=DATABASE, execution="arn:one", execution_started_at=datetime(2026, 1, 31, 12, tzinfo=UTC)
    )

    answers = {
        start_backup(
            request, protected=small.protected, points=small.points, holds=small.holds, executions=small.executions
        )
        for _ in range(2)
    }

    assert len(answers) == len(small.points.points) == 1


def test_somebody_else_s_schema_of_our_name_is_refused(small: Rig, databases: Databases) -> None:
    with databases.connect(small.parameters) as session:
        create_marks(session, "left-over")
        small.start()
        small.points.locks.clear()
        session.execute("CREATE TABLE holdfast_restore.theirs ()")

    with pytest.raises(SourceRefused, match="holdfast_restore"):
        small.start()


AT = "2026-06-01T02:00:00Z"


def test_a_second_delivery_of_a_schedule_leaves_the_point_to_the_first(small: Rig) -> None:
    first = small.start("arn:one", tier=Tier.DAILY, scheduled_at=AT)

    second = small.start("arn:two", tier=Tier.DAILY, scheduled_at=AT)

    assert (second.taken, second.point_id) == (True, first.point_id)
    assert (first.taken, len(small.points.points)) == (False, 1)
    assert small.points.lock_holder(DATABASE) == (first.point_id, "arn:one")


def test_a_second_delivery_that_comes_late_finds_the_point(small: Rig) -> None:
    first = small.start("arn:one", tier=Tier.DAILY, scheduled_at=AT)
    small.points.advance(first.point_id, PointState.CAPTURED, captured_at=now())
    small.points.release(DATABASE, "arn:one")

    assert small.start("arn:two", tier=Tier.DAILY, scheduled_at=AT).taken


@pytest.mark.parametrize("how", ["failed", "died"])
def test_a_second_delivery_makes_the_point_that_the_first_did_not(small: Rig, how: str) -> None:
    first = small.start("arn:one", tier=Tier.DAILY, scheduled_at=AT)
    small.executions.alive.discard("arn:one")
    if how == "failed":
        small.points.advance(first.point_id, PointState.FAILED, failure="It failed.")
        small.points.release(DATABASE, "arn:one")

    second = small.start("arn:two", tier=Tier.DAILY, scheduled_at=AT)

    assert (second.taken, second.point_id != first.point_id) == (False, True)


def test_another_tier_or_moment_is_another_point(small: Rig) -> None:
    first = small.start("arn:one", tier=Tier.DAILY, scheduled_at=AT)
    small.points.advance(first.point_id, PointState.CAPTURED, captured_at=now())
    small.points.release(DATABASE, "arn:one")

    assert not small.start("arn:two", tier=Tier.WEEKLY, scheduled_at=AT).taken
    small.points.release(DATABASE, "arn:two")
    assert not small.start("arn:three", tier=Tier.DAILY, scheduled_at="2026-06-02T02:00:00Z").taken
