"""`holdfast backup`."""

from __future__ import annotations

import json

import pytest

from cli.conftest import EXECUTION, MACHINE, NOON, Command, keep, point
from holdfast.contracts.backup import BackupRequest
from holdfast.model.points import PointState
from holdfast_cli.commands import backup


def test_a_backup_starts_the_machine_of_the_databases_network(command: Command) -> None:
    answer = command("backup", "stock", "--tier", "weekly", "--reason", "before the migration", "--json")

    (started,) = command.states.started
    assert started["stateMachineArn"] == f"{MACHINE}holdfast-backup-office"
    assert started["input"] == {
        "database": "stock",
        "tier": "weekly",
        "kind": "full",
        "reason": "before the migration",
    }
    assert answer.code == 0
    assert answer.json["execution"].startswith(f"{EXECUTION}holdfast-backup-office:stock-weekly-")


def test_a_backup_of_the_schema_alone_is_asked_for_as_such(command: Command) -> None:
    answer = command("backup", "shop", "--kind", "schema")

    assert answer.code == 0
    assert command.states.started[0]["input"]["kind"] == "schema"


def test_a_backup_that_is_not_waited_for_says_how_to_look_at_it(command: Command) -> None:
    answer = command("backup", "shop")

    name = command.states.started[0]["name"]
    assert answer.code == 0
    assert f"holdfast watch {name}" in answer.out


def test_waiting_ends_with_the_point(command: Command) -> None:
    command.states.on_start = lambda arn: keep(command.points, point(execution=arn))

    answer = command("--json", "backup", "shop", "--wait")

    assert answer.code == 0
    assert answer.json["point"]["id"] == point().id
    assert answer.json["point"]["state"] == "intact"


def test_waiting_shows_each_state_on_standard_error(command: Command) -> None:
    command.states.on_start = lambda arn: keep(command.points, point(execution=arn))
    command.states.events = _history("Start the backup", "Dump the batches", items=True)

    answer = command("backup", "shop", "--wait")

    assert "Start the backup" in answer.err
    assert "Dump the batches, 3 of 4" in answer.err
    assert "2.50 GB as text, 500 MB stored (5.0x)" in answer.out


def test_an_unknown_database_is_refused_with_what_may_have_been_meant(command: Command) -> None:
    answer = command("backup", "shpo")

    assert answer.code == 4
    assert "There is no database 'shpo'" in answer.err
    assert "Did you mean shop?" in answer.err
    assert command.states.started == []


def test_a_second_backup_answers_which_one_runs(command: Command) -> None:
    execution = f"{EXECUTION}holdfast-backup-internet:first"
    command.points.begin(point(state=PointState.CAPTURING, execution=execution))
    command.states.known[execution] = {"status": "RUNNING", "startDate": point().started_at, "forever": True}

    answer = command("--json", "backup", "shop")

    assert answer.code == 5
    assert answer.json["error"] == "BackupAlreadyRunning"
    assert answer.json["ids"] == {"point": point().id, "execution": execution}
    assert command.states.started == []


def test_whoever_queues_begins_when_the_other_backup_is_over(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = f"{EXECUTION}holdfast-backup-internet:first"
    command.points.begin(point(state=PointState.CAPTURING, execution=execution))
    command.states.known[execution] = {"status": "RUNNING", "startDate": point().started_at, "forever": True}
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert command.states.started == []
        if len(slept) == 2:
            command.points.release("shop", execution)

    monkeypatch.setattr(backup.time, "sleep", sleep)

    answer = command("backup", "shop", "--queue")

    assert answer.code == 0
    assert answer.err.count("Waiting for the backup") == 1
    assert len(command.states.started) == 1


@pytest.mark.parametrize(
    "known", [{"status": "ABORTED", "startDate": point().started_at}, None], ids=["ended", "forgotten"]
)
def test_a_lock_of_a_run_that_goes_on_no_more_does_not_refuse(
    command: Command, known: dict[str, object] | None
) -> None:
    execution = f"{EXECUTION}holdfast-backup-internet:dead"
    command.points.begin(point(state=PointState.CAPTURING, execution=execution))
    if known:
        command.states.known[execution] = known

    assert command("backup", "shop").code == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param("PrivilegeMissing", 5, id="the source refuses"),
        pytest.param("PooledEndpoint", 5, id="a pooler answers"),
        pytest.param("ArchiveDamaged", 1, id="the copy is damaged"),
        pytest.param("SnapshotLost", 1, id="the holder died"),
        pytest.param("BadConfiguration", 3, id="the configuration is wrong"),
        pytest.param("BackupAlreadyRunning", 5, id="another was faster"),
        pytest.param("States.Timeout", 1, id="it took too long"),
        pytest.param("SomethingNew", 1, id="an unknown name"),
    ],
)
def test_a_failed_run_gives_its_reason_and_an_exit_code(command: Command, error: str, code: int) -> None:
    cause = json.dumps({"errorMessage": "Table public.users cannot be read. GRANT SELECT.", "errorType": error})
    command.states.outcome = {"status": "FAILED", "error": error, "cause": cause}

    answer = command("backup", "shop", "--wait")

    assert answer.code == code
    assert "Table public.users cannot be read. GRANT SELECT." in " ".join(answer.err.split())


def _history(*names: str, items: bool = False) -> list[dict[str, object]]:
    """Return the events of an execution that is in the last of these states."""
    events: list[dict[str, object]] = []
    for name in names:
        kind = "Map" if name == names[-1] and items else "Task"
        details = {"name": name}
        events.append({"type": f"{kind}StateEntered", "stateEnteredEventDetails": details})
        if name != names[-1]:
            events.append({"type": f"{kind}StateExited", "stateExitedEventDetails": details})
    if items:
        events.append({"type": "MapRunStarted", "mapRunStartedEventDetails": {"mapRunArn": "arn:map"}})
    return [{**event, "id": number, "timestamp": point().started_at} for number, event in enumerate(events, start=1)]


def test_a_reason_that_the_machine_would_refuse_starts_nothing(command: Command) -> None:
    answer = command("backup", "shop", "--reason", "x" * 257)

    assert answer.code == 2
    assert "at most 256 characters, not 257" in answer.err
    assert command.states.started == []


def test_a_point_may_be_kept_for_a_time_of_its_own_and_protected(command: Command) -> None:
    command("backup", "shop", "--reason", "before release 42", "--keep", "12w", "--protect")

    sent = command.states.started[0]["input"]
    assert (sent["keep_days"], sent["protect"], sent["reason"]) == (84, True, "before release 42")
    assert BackupRequest(**sent, execution="arn", execution_started_at=NOON).keep_days == 84


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--keep", "soon"], id="no time"),
        pytest.param(["--keep", "0d"], id="no day"),
        pytest.param(["--keep", "200y"], id="too long"),
        pytest.param(["--protect"], id="protected without a reason"),
        pytest.param(["--protect", "--reason", " "], id="protected for nothing"),
    ],
)
def test_what_cannot_be_kept_so_is_refused_before_anything_runs(command: Command, options: list[str]) -> None:
    assert command("backup", "shop", *options).code == 2
    assert not command.states.started
