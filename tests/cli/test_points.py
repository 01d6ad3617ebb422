"""`holdfast points`, `show`, `verify` and `status`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from cli.conftest import EXECUTION, NOON, Command, keep, point
from holdfast.model.points import Mechanism, PointState
from holdfast.ports.catalogue import Hold


def test_points_are_listed_newest_first(command: Command) -> None:
    keep(command.points, point(5), point(1, state=PointState.FAILED, failure="The holder died."), point(3))

    answer = command("points", "shop")

    order = [line.split()[0] for line in answer.out.splitlines() if line.startswith("shop-")]
    assert order == [point(1).id, point(3).id, point(5).id]
    assert "✘ failed" in answer.out
    assert "The holder died." in answer.out


def test_points_tell_their_kind_and_what_of_the_database_they_have(command: Command) -> None:
    part = replace(point(1, state=PointState.CAPTURING), kind="schema", selection="without: audit.*")
    keep(command.points, part, point(3))

    listed, shown = command("points", "shop").out, command("show", point(1).id).out

    kinds = [line.split()[3:5] for line in listed.splitlines() if line.startswith("shop-")]
    assert kinds == [["schema", "archive"], ["full", "archive"]]
    assert "without: audit.*" in listed
    assert "schema: everything but rows" in shown
    assert "without: audit.*" in shown


def test_only_full_points_make_a_database_look_safe(command: Command) -> None:
    full, rows = point(30, state=PointState.PROVEN), replace(point(1, state=PointState.PROVEN), kind="data")
    keep(command.points, full, rows)

    (found,) = command("--json", "status", "shop").json["databases"]

    assert (found["newest"]["id"], found["newest_intact"]["id"]) == (rows.id, full.id)
    assert found["newest_proven"]["id"] == full.id


def test_a_list_that_is_piped_is_not_cut_off(command: Command) -> None:
    keep(command.points, point(reason="a reason as long as somebody who types in a hurry never gives one"))

    answer = command("points", "shop")

    assert "a reason as long as somebody who types in a hurry never gives one" in answer.out


def test_points_of_a_database_without_any_say_so(command: Command) -> None:
    answer = command("points", "shop")

    assert answer.code == 0
    assert "shop has no recovery point yet." in answer.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["points", "nosuch"], 4, id="unknown database"),
        pytest.param(["show", "shop-20260131t120000z-00000a"], 4, id="unknown point"),
        pytest.param(["show", "nosuch-20260131t120000z-00000a"], 4, id="point of an unknown database"),
        pytest.param(["show", "yesterday"], 4, id="not an id"),
        pytest.param(["verify", "shop-20260131t120000z-00000a"], 4, id="nothing to verify"),
        pytest.param(["watch", "nosuch"], 4, id="unknown run"),
    ],
)
def test_what_is_unknown_is_named(command: Command, arguments: list[str], code: int) -> None:
    answer = command(*arguments)

    assert answer.code == code
    assert answer.err.startswith("✘ ")


def test_a_point_that_is_not_sealed_is_shown_without_tables(command: Command) -> None:
    keep(command.points, point(state=PointState.CAPTURING))

    answer = command("show", point().id, "--json")

    assert answer.json["point"]["state"] == "capturing"
    assert answer.json["tables"] == []


def test_a_failed_point_cannot_be_verified(command: Command) -> None:
    keep(command.points, point(state=PointState.FAILED))

    answer = command("verify", point().id)

    assert answer.code == 2
    assert command.states.started == []


def test_damage_is_told_with_its_place_and_an_exit_code(command: Command) -> None:
    keep(command.points, point())
    verdict = {
        "database": "shop",
        "point_id": point().id,
        "intact": False,
        "reason": "1 of 9 chunks is not as the manifest says.",
        "chunks": 9,
        "bytes_plain": 1,
        "faults": [{"what": "public.users, blocks 0-99", "problem": "its hash differs"}],
    }
    command.states.outcome = {"status": "SUCCEEDED", "output": json.dumps(verdict)}

    answer = command("verify", point().id, "--wait")

    assert answer.code == 1
    assert "public.users, blocks 0-99: its hash differs" in answer.err


def test_status_tells_backup_and_proof_age_holds_and_runs(command: Command) -> None:
    execution = f"{EXECUTION}holdfast-backup-internet:now"
    keep(command.points, point(2), point(30, state=PointState.PROVEN))
    command.holds.publish(
        Hold(
            point_id=point(0).id,
            database="shop",
            snapshot="00000003-1",
            generation=2,
            taken_at=NOON,
            lsn="0/1",
            opened_at=NOON,
            pinged_at=NOON + timedelta(minutes=5),
        )
    )
    command.states.known[execution] = {
        "status": "RUNNING",
        "startDate": NOON,
        "input": '{"database": "shop"}',
        "forever": True,
    }

    answer = command("status", "--json")

    shop, stock = answer.json["databases"]
    assert shop["newest_intact"]["id"] == point(2).id
    assert shop["newest_proven"]["id"] == point(30).id
    assert [hold["generation"] for hold in shop["holds"]] == [2]
    assert stock["newest"] is None
    assert [run["execution"] for run in answer.json["runs"]] == [execution]


def test_status_for_people_says_what_has_never_been_proven(command: Command) -> None:
    keep(command.points, point(2))

    answer = command("status", "shop")

    assert "shop" in answer.out
    assert "never" in answer.out
    assert "Nothing runs." in answer.out


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        pytest.param(Mechanism.SNAPSHOT, "snapshot that its provider keeps", id="a snapshot"),
        pytest.param(Mechanism.HISTORY, "moment of its provider's history", id="a moment of the history"),
    ],
)
@pytest.mark.parametrize("arguments", [["verify"], ["download"], ["restore", "shop", "--into", "copy", "--point"]])
def test_what_lies_at_a_provider_is_refused_where_an_archive_is_needed(
    command: Command, mechanism: Mechanism, words: str, arguments: list[str]
) -> None:
    keep(command.points, point(1, mechanism=mechanism))

    answer = command(*arguments, point(1).id)

    assert answer.code == 5
    assert words in answer.err
    assert "`holdfast points shop` lists them" in answer.err


def test_a_point_at_a_provider_is_shown_with_what_protects_it(command: Command) -> None:
    snapshot = replace(point(1), mechanism=Mechanism.SNAPSHOT, provider_id="rds:shop-1", protected="litigation 17")
    keep(command.points, replace(snapshot, second_region="eu-west-1", second_id="copy-1", second_at=NOON))

    shown, listed = command("show", point(1).id).out, command("points", "shop").out

    assert "snapshot: rds:shop-1" in shown
    assert "eu-west-1: copy-1 since 2026" in shown
    assert "protected: litigation 17" in listed


def test_a_moment_of_the_history_counts_for_the_age_and_never_as_the_archive_to_restore(command: Command) -> None:
    history, archive = point(1, mechanism=Mechanism.HISTORY), point(30)
    keep(command.points, history, archive)

    (found,) = command("--json", "status", "shop").json["databases"]

    assert found["newest_intact"]["id"] == history.id
    command("restore", "shop", "--into", "copy")
    assert [each["input"]["point"] for each in command.states.started] == [archive.id]


def test_an_expired_point_is_shown_with_the_reason_why_it_went(command: Command) -> None:
    why = "It is 40 days old; daily points are kept for 30 days."
    expired = replace(point(1, state=PointState.EXPIRED), expired_at=NOON, expired_why=why)
    keep(command.points, replace(expired, manifest_version="v1"))  # which is not there any more

    assert f"2026-01-31 12:00:00 UTC: {why}" in command("show", point(1).id).out
