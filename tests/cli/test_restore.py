"""`holdfast restore`."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cli.conftest import MACHINE, NOON, Command, keep, point
from holdfast.contracts.manifest import StoredObject
from holdfast.contracts.restoring import LeftOut, Locale, Part, RestorePlan
from holdfast.model.points import PointState
from holdfast_infra.machines import MACHINES

PROVEN = point(30, state=PointState.PROVEN)
INTACT = point(2)
CAPTURED = point(1, state=PointState.CAPTURED)
FAILED = point(0, state=PointState.FAILED)


@pytest.fixture
def points(command: Command) -> None:
    keep(command.points, PROVEN, INTACT, CAPTURED, FAILED)


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        pytest.param([], INTACT, id="the newest that may be restored"),
        pytest.param(["--point", "latest-proven"], PROVEN, id="the newest proven one"),
        pytest.param(["--point", PROVEN.id], PROVEN, id="one by its id"),
    ],
)
def test_the_point_that_was_meant_is_restored(command: Command, wanted: list[str], chosen: object) -> None:
    answer = command("restore", "shop", "--into", "shop_restored", *wanted)

    (started,) = command.states.started
    assert answer.code == 0
    assert started["stateMachineArn"] == f"{MACHINE}holdfast-restore-internet"
    assert started["input"]["point"] == getattr(chosen, "id", None)
    assert started["input"]["into"] == "shop_restored"
    assert "target_secret" not in started["input"]


@pytest.mark.usefixtures("points")
def test_a_part_is_asked_for_in_the_words_of_the_machine(command: Command) -> None:
    # Tables may go back into the database that the point is of.
    options = ["--table", "public.users", "--table", "billing.*", "--schema", "audit", "--kind", "schema"]
    answer = command("restore", "shop", "--into", "shop", *options)

    (started,) = command.states.started
    part = {"tables": ["public.users", "billing.*"], "schemas": ["audit"], "kind": "schema"}
    assert answer.code == 0
    assert part.items() <= started["input"].items()


def test_the_latest_is_the_newest_that_has_what_is_wanted(command: Command) -> None:
    full, rows = point(3), replace(point(1), kind="data")
    keep(command.points, full, rows)

    command("restore", "shop", "--into", "any")
    command("restore", "shop", "--into", "any", "--kind", "data")

    assert [started["input"]["point"] for started in command.states.started] == [full.id, rows.id]


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(["--point", CAPTURED.id], 5, "only intact and proven ones may be restored", id="not verified yet"),
        pytest.param(["--point", FAILED.id], 5, "only intact and proven ones may be restored", id="failed"),
        pytest.param(["--point", "stock-20260131t120000z-00000a"], 2, "of stock, not of shop", id="another database's"),
        pytest.param(["--point", "yesterday"], 4, "is not the id of a recovery point", id="not an id"),
        pytest.param(["--into", "x" * 64], 2, "1 to 63 bytes, not 64", id="a name that PostgreSQL would cut"),
        pytest.param(["--target-secret", "holdfast/stock"], 2, "is no target", id="another database's secret"),
        pytest.param(["--into", ""], 2, "1 to 63 bytes, not 0", id="no name"),
        pytest.param(["--into", "shop\nDROP"], 2, "control characters", id="a line break"),
        pytest.param(["--reason", "x" * 257], 2, "at most 256 characters, not 257", id="a reason that is refused"),
    ],
)
def test_what_cannot_be_restored_starts_nothing(
    command: Command, arguments: list[str], code: int, sentence: str
) -> None:
    answer = command("restore", "shop", "--into", "shop_restored", *arguments)

    assert answer.code == code
    assert sentence in answer.err
    assert command.states.started == []


class _Named:
    def __init__(self, database_name: str) -> None:
        self.source = SimpleNamespace(database_name=database_name)


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("into", "target", "code"),
    [
        pytest.param("shop_live", [], 5, id="the source on its own server"),
        pytest.param("shop", [], 0, id="the name that only we give it"),
        pytest.param("shop_live", ["--target-secret", "spare"], 0, id="the same name on another server"),
    ],
)
def test_the_source_itself_is_refused_before_anything_starts(
    command: Command, monkeypatch: pytest.MonkeyPatch, into: str, target: list[str], code: int
) -> None:
    monkeypatch.setattr("holdfast_cli.commands.restore.manifest_of", lambda *_: _Named("shop_live"))

    answer = command("restore", "shop", "--into", into, *target)

    assert answer.code == code
    assert len(command.states.started) == (code == 0)
    assert ("never restored over" in answer.err) is (code == 5)


def test_a_database_without_points_cannot_be_restored(command: Command) -> None:
    answer = command("restore", "shop", "--into", "shop_restored")

    assert answer.code == 5
    assert "shop has no intact recovery point." in answer.err


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("target", "network", "secret"),
    [
        pytest.param("spare", "office", "holdfast/target/spare", id="a target by its name"),
        pytest.param("holdfast/target/spare", "office", "holdfast/target/spare", id="a target by its secret"),
        pytest.param("holdfast/target/new", "internet", "holdfast/target/new", id="a secret made since the deployment"),
    ],
)
def test_a_restore_runs_in_the_network_of_its_target(command: Command, target: str, network: str, secret: str) -> None:
    command("restore", "shop", "--into", "shop_restored", "--target-secret", target)

    (started,) = command.states.started
    assert started["stateMachineArn"] == f"{MACHINE}holdfast-restore-{network}"
    assert started["input"]["target_secret"] == secret


@pytest.mark.usefixtures("points")
def test_waiting_ends_with_the_proof(command: Command) -> None:
    proof = {"restore_id": "r", "proven": True, "reason": "equal", "tables": 17, "rows": 1_234_567}
    report = {"restore_id": "r", "succeeded": True, "sentence": "shop was restored and proven."}
    command.states.outcome = {"status": "SUCCEEDED", "output": json.dumps({"report": report, "proof": proof})}

    answer = command("restore", "shop", "--into", "shop_restored", "--wait")

    assert answer.code == 0
    assert "17 tables, 1,234,567 rows" in answer.out
    assert "shop was restored and proven." in answer.out


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param("TargetNotEmpty", 5, id="the target holds something"),
        pytest.param("RestoreNotProven", 1, id="it differs"),
        pytest.param("ValidationFailed", 1, id="a check failed"),
        pytest.param("RestoreAlreadyRunning", 5, id="another writes there"),
    ],
)
def test_a_failed_restore_gives_its_reason_and_an_exit_code(command: Command, error: str, code: int) -> None:
    command.states.outcome = {"status": "FAILED", "error": error, "cause": "It is so."}

    answer = command("restore", "shop", "--into", "shop_restored", "--wait", "--json")

    assert answer.code == code
    assert answer.json["error"] == error
    assert answer.json["message"] == "It is so."


NOTES = [
    "The role shop_reporting is created without login.",
    "Left out: SUBSCRIPTION feed. It would drop the original's slot.",
    "public.old [a-z] is written differently.",
]
REMARKS = {
    "sentence": "shop was restored and proven.",
    "notes": NOTES,
    "comparison": {"differences": [f"Table public.t{number} [a-z] differs." for number in range(30)], "notes": NOTES},
}


def reported(command: Command, report: object) -> None:
    """Let every restore leave *report* in the scratch bucket as soon as it starts."""

    def write(arn: str) -> None:
        command.scratch.write(f"restore/{arn.rpartition(':')[2]}/report.json", json.dumps(report).encode())

    command.states.on_start = write


def succeed(command: Command) -> None:
    proof = {"restore_id": "r", "proven": True, "reason": "equal", "tables": 17, "rows": 5}
    report = {"restore_id": "r", "succeeded": True, "sentence": "shop was restored and proven.", "notes": NOTES[:1]}
    command.states.outcome = {"status": "SUCCEEDED", "output": json.dumps({"report": report, "proof": proof})}


@pytest.mark.usefixtures("points")
def test_what_a_restore_leaves_to_the_operator_is_shown(command: Command) -> None:
    succeed(command)
    reported(command, REMARKS)

    answer = command("restore", "shop", "--into", "shop_restored", "--wait")
    again = command("watch", command.states.started[0]["name"])

    for said in (answer.out, again.out):
        assert [said.count(note) for note in NOTES] == [1, 1, 1]


@pytest.mark.usefixtures("points")
def test_programs_get_it_too(command: Command) -> None:
    succeed(command)
    reported(command, REMARKS)

    answer = command("restore", "shop", "--into", "shop_restored", "--wait", "--json")

    assert answer.json["notes"] == NOTES
    assert answer.json["proof"]["proven"] is True


@pytest.mark.usefixtures("points")
def test_without_a_report_the_notes_that_the_machine_passes_on_are_shown(command: Command) -> None:
    succeed(command)

    answer = command("restore", "shop", "--into", "shop_restored", "--wait")

    assert "The role shop_reporting" in answer.out


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    "report", [None, [], {}, {"plan": None, "comparison": []}], ids=["null", "a list", "empty", "another shape"]
)
def test_a_report_that_makes_no_sense_hides_nothing(command: Command, report: object) -> None:
    succeed(command)
    reported(command, report)

    assert command("restore", "shop", "--into", "shop_restored", "--wait").code == 0


@pytest.mark.usefixtures("points")
def test_every_difference_of_a_failed_proof_can_be_read(command: Command) -> None:
    cause = "30 differences, the first: Table public.t0 differs."
    command.states.outcome = {"status": "FAILED", "error": "RestoreNotProven", "cause": cause}
    reported(command, REMARKS)

    people = command("restore", "shop", "--into", "shop_restored", "--wait")
    programs = command("restore", "shop", "--into", "shop_restored", "--wait", "--json").json
    watched = command("watch", command.states.started[0]["name"], "--json").json

    name = command.states.started[0]["name"]
    assert "Table public.t0 [a-z] differs." in people.err
    assert "Table public.t29 [a-z] differs." in people.err
    assert f"key: restore/{name}/report.json" in people.err
    assert NOTES[0] in people.err
    assert programs["message"] == cause
    assert programs["hint"] == "Do not use it; the report names each difference."
    assert len(programs["ids"]["differences"]) == len(watched["ids"]["differences"]) == 30
    assert watched["ids"]["bucket"] == "scratch"
    assert watched["ids"]["key"] == f"restore/{name}/report.json"


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("error", "cause", "message", "hint"),
    [
        pytest.param(
            "TargetNotEmpty",
            "shop holds 3 tables. Restore into a new name, or empty that database yourself first.",
            "shop holds 3 tables.",
            "Restore into a new name, or empty that database yourself first.",
            id="the class's own remedy",
        ),
        pytest.param(
            "TargetNotEmpty",
            "shop 9.6 holds 3 tables. Choose another name. It is gone then.",
            "shop 9.6 holds 3 tables.",
            "Choose another name. It is gone then.",
            id="a remedy of this case",
        ),
        pytest.param(
            "ValidationFailed", "users: got 0. orders: got 1.", "users: got 0. orders: got 1.", None, id="two sentences"
        ),
        pytest.param("ProgramFailed", "It said: no. Done.", "It said: no. Done.", "", id="what a program said"),
    ],
)
def test_sentence_and_remedy_of_a_failed_run_are_told_apart(
    command: Command, error: str, cause: str, message: str, hint: str | None
) -> None:
    command.states.outcome = {"status": "FAILED", "error": error, "cause": json.dumps({"errorMessage": cause})}

    answer = command("restore", "shop", "--into", "shop_restored", "--wait", "--json")

    assert answer.json["message"] == message
    assert hint is None or answer.json["hint"] == hint


NOTHING = StoredObject(key="k", version_id="v", sha256="0", size=1)
PLAN = RestorePlan(
    restore_id="r", execution="e", reason="", database="shop", provider="postgres", point_id=INTACT.id,
    point_state="intact", taken_at=INTACT.taken_at, planned_at=NOON, loses_seconds=7200.0, manifest=NOTHING,
    verification=NOTHING, into="shop_restored", target="the server of shop", secret="s", own_server=True,
    target_version=180_001, source_version=180_001, role="restorer", superuser=False, database_exists=False,
    locale=Locale(encoding="UTF8", provider="libc", collate="C", ctype="C"), part=Part(kind="full", whole=True),
    bytes_of_point=0, roles_missing=(), roles_to_join=(), roles_foreign=(), tables=1, rows=1_234_567,
    left_out=(LeftOut(name="SUBSCRIPTION feed", reason="It would drop the original's slot."),),
    warnings=("The roles shop_app [x] are created without passwords.",),
    bytes_plain=2_500_000_000, bytes_stored=500_000_000, chunks=3, before=(), schema_entries=9, stages=(),
)  # fmt: skip


@pytest.mark.usefixtures("points")
def test_the_plan_is_told_while_the_restore_runs(command: Command) -> None:
    succeed(command)
    body = PLAN.model_dump_json().encode()
    command.states.on_start = lambda arn: command.scratch.write(f"restore/{arn.rpartition(':')[2]}/plan.json", body)

    answer = command("restore", "shop", "--into", "shop_restored", "--wait")

    told = answer.err.splitlines()
    first = told.index(f"The plan: shop from {INTACT.id} (intact) into shop_restored on the server of shop")
    assert told[first + 1 : first + 7] == [
        "  point     taken 2026-01-31 10:00:00 UTC",
        "  lost      what was written since then: 2 h 00 min of changes",
        "  target    PostgreSQL 18.1, a new database shop_restored",
        "  restored  1 table, 1,234,567 rows, 2.50 GB as text, 500 MB to read",
        "  note      The roles shop_app [x] are created without passwords.",
        "  note      Left out: SUBSCRIPTION feed. It would drop the original's slot.",
    ]
    assert answer.err.count("The plan:") == 1


@pytest.mark.usefixtures("points")
def test_definitions_alone_are_not_told_as_no_tables(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(kind="schema", whole=False)
    without_rows = {"tables": 0, "rows": 0, "bytes_plain": 0, "bytes_stored": 0, "part": part}
    monkeypatch.setitem(globals(), "PLAN", PLAN.model_copy(update=without_rows))
    planned(command)

    answer = command("restore", "shop", "--into", "shop_restored", "--kind", "schema", "--plan")

    assert "restored  definitions, and no rows" in answer.out
    assert "0 tables" not in answer.out


def planned(command: Command) -> None:
    """Let every restore end with its plan."""
    body = PLAN.model_dump_json().encode()
    command.states.on_start = lambda arn: command.scratch.write(f"restore/{arn.rpartition(':')[2]}/plan.json", body)
    output = {"plan": {"restore_id": "r", "key": "restore/r/plan.json"}}
    command.states.outcome = {"status": "SUCCEEDED", "output": json.dumps(output)}


@pytest.mark.usefixtures("points")
def test_only_the_plan_is_the_result_where_nothing_else_is_wanted(command: Command) -> None:
    planned(command)

    people = command("restore", "shop", "--into", "shop_restored", "--plan")
    watched = command("watch", command.states.started[0]["name"])
    programs = command("restore", "shop", "--into", "shop_restored", "--plan", "--json")

    assert [each["input"]["plan_only"] for each in command.states.started] == [True, True]
    assert (people.code, watched.code, programs.code) == (0, 0, 0)
    for told in (people, watched):
        assert "a new database shop_restored" in told.out
        assert "The roles shop_app [x] are created without passwords." in told.out
        assert told.out.rstrip().endswith("Nothing has been touched.")
        assert "The plan:" not in told.err
    assert programs.json["plan"]["rows"] == 1_234_567
    assert programs.json["plan"]["loses_seconds"] == 7200.0
    assert len(programs.json["plan"]["notes"]) == 2
    assert "secret" not in programs.json["plan"]


@pytest.mark.usefixtures("points")
def test_a_plan_that_is_refused_ends_as_the_restore_would(command: Command) -> None:
    command.states.outcome = {"status": "FAILED", "error": "TargetNotEmpty", "cause": "It holds 3 tables."}

    answer = command("restore", "shop", "--into", "shop_restored", "--plan")

    assert (answer.code, answer.out) == (5, "")
    assert "It holds 3 tables." in answer.err


@pytest.mark.usefixtures("points")
def test_whoever_may_not_read_the_plan_learns_where_it_lies(command: Command) -> None:
    planned(command)
    command.states.on_start = lambda _: None

    answer = command("restore", "shop", "--into", "shop_restored", "--plan")

    assert answer.code == 0
    assert "s3://scratch/restore/r/plan.json" in answer.out


@pytest.mark.usefixtures("points")
def test_a_plan_that_makes_no_sense_hides_nothing(command: Command) -> None:
    succeed(command)
    command.states.on_start = lambda arn: command.scratch.write(f"restore/{arn.rpartition(':')[2]}/plan.json", b"{}")

    assert command("restore", "shop", "--into", "shop_restored", "--wait").code == 0


DAMAGED = point(
    4, state=PointState.FAILED, captured_at=NOON, verification_version="v", failure="public.a [0] is damaged."
)


def test_a_damaged_point_is_restored_only_when_it_is_named_and_never_without_a_warning(command: Command) -> None:
    keep(command.points, DAMAGED)

    latest = command("restore", "shop", "--into", "rescued", "--table", "b")
    named = command("restore", "shop", "--into", "rescued", "--table", "b", "--point", DAMAGED.id)

    assert (latest.code, named.code) == (5, 0)
    assert f"`--point {DAMAGED.id} --table T`" in latest.err
    assert f"`holdfast download {DAMAGED.id} --damaged`" in latest.err
    assert f"{DAMAGED.id} is damaged: public.a [0] is damaged." in named.err
    assert command.states.started[0]["input"]["point"] == DAMAGED.id


def test_a_download_of_a_damaged_point_never_ends_as_if_it_were_complete(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(command.points, DAMAGED)
    vars(command.system)["signer"] = None
    found = SimpleNamespace(manifest=SimpleNamespace(contents=()))
    found.whole = lambda: (found, ("The chunk of public.a is missing.",))
    monkeypatch.setattr("holdfast_cli.commands.download.open_source", lambda *_, **__: found)
    monkeypatch.setattr("holdfast_cli.commands.download._write", lambda *_: None)

    answer = command("download", DAMAGED.id, "--damaged")

    assert answer.code == 1
    assert "is not complete" in answer.err
    assert "The chunk of public.a is missing." in answer.err


@pytest.mark.parametrize(
    ("name", "states", "code"),
    [
        pytest.param("TargetIncompatible", ["Assess the restore"], 5, id="before anything was touched"),
        pytest.param("ContentRefused", ["Prepare the target"], 1, id="while definitions were made"),
        pytest.param("TargetNotEmpty", ["Prepare the target"], 5, id="the database was found in use at first"),
        pytest.param("TargetNotEmpty", ["Prepare the target", "Load the rows"], 1, id="rows of others came meanwhile"),
        pytest.param("RestoreAlreadyRunning", ["Prepare the target"], 5, id="another one marked it"),
    ],
)
@pytest.mark.usefixtures("points")
def test_refused_means_that_nothing_was_changed(command: Command, name: str, states: list[str], code: int) -> None:
    command.states.outcome = {"status": "FAILED", "error": name, "cause": json.dumps({"errorMessage": "It is so."})}
    command.states.events = [
        {"id": number, "type": "TaskStateEntered", "timestamp": NOON, "stateEnteredEventDetails": {"name": state}}
        for number, state in enumerate(states, start=1)
    ]

    answer = command("restore", "shop", "--into", "shop_restored", "--wait", "--json")

    assert answer.code == code
    assert set(states) <= json.loads((MACHINES / "restore.asl.json").read_text())["States"].keys()
    assert ("shop_restored, with what was restored until then" in answer.json["ids"].get("left", "")) is (code == 1)
