"""How far a run has come, from its history, and how that is shown."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console

from cli.conftest import EXECUTION, NOON, Command
from fakes import MemoryScratch
from holdfast.contracts.restoring import Progress
from holdfast.model.keys import RunKeys
from holdfast.model.progress import Sight
from holdfast_cli.lasting import Lasting
from holdfast_cli.runs import Look, Run, Runs
from holdfast_cli.steps import History, merged
from holdfast_cli.watch import watch

PARENT, CHILD = f"{EXECUTION}holdfast-backup-internet:one", f"{EXECUTION}holdfast-verify:verify-one"


class PagedHistory:
    """Step Functions with long histories: two events a page, and a count of the pages that were asked for."""

    def __init__(self, **events: list[dict[str, Any]]) -> None:
        self.events = {"parent": [], "child": [], **events}
        self.pages = 0

    def get_execution_history(self, **request: Any) -> dict[str, Any]:
        self.pages += 1
        events = self.events["parent" if request["executionArn"] == PARENT else "child"][::-1]
        start = int(request.get("nextToken", 0))
        more = {"nextToken": str(start + 2)} if start + 2 < len(events) else {}
        return {"events": events[start : start + 2], **more}

    def describe_map_run(self, **_: str) -> dict[str, Any]:
        return {"itemCounts": {"succeeded": 2, "total": 7}}


def event(number: int, kind: str, name: str = "", **details: Any) -> dict[str, Any]:
    moment = NOON + timedelta(seconds=number)
    if kind.endswith("StateEntered"):
        details = {"stateEnteredEventDetails": {"name": name}}
    elif kind.endswith("StateExited"):
        details = {"stateExitedEventDetails": {"name": name}}
    return {"id": number, "timestamp": moment, "type": kind, **details}


def test_states_that_nobody_waits_for_are_not_shown() -> None:
    events = [
        event(1, "PassStateEntered", "Read the request"),
        event(2, "TaskStateEntered", "Hold the snapshot"),
        event(3, "ChoiceStateEntered", "Is the copy over?"),
        event(4, "TaskStateEntered", "Seal the copy"),
    ]

    steps = History(PagedHistory(parent=events), PARENT).steps()

    assert [step.name for step in steps] == ["Seal the copy"]


def test_a_second_look_reads_only_what_is_new() -> None:
    states = PagedHistory(parent=[event(number, "TaskStateEntered", f"Step {number}") for number in range(1, 10)])
    history = History(states, PARENT)
    history.steps()
    first = states.pages
    states.events["parent"].append(event(10, "TaskStateExited", "Step 9"))

    steps = history.steps()

    assert first == 5
    assert states.pages == first + 1
    assert len(steps) == 9
    assert steps[-1].left_at == NOON + timedelta(seconds=10)


def test_a_state_that_is_entered_again_is_left_apart() -> None:
    events = [
        event(1, "MapStateEntered", "Finish one stage"),
        event(2, "MapStateExited", "Finish one stage"),
        event(3, "MapStateEntered", "Finish one stage"),
    ]

    first, second = History(PagedHistory(parent=events), PARENT).steps()

    assert first.left_at is not None
    assert second.left_at is None


def test_the_execution_within_is_followed_too() -> None:
    started = {"taskSubmittedEventDetails": {"output": json.dumps({"ExecutionArn": CHILD})}}
    parent = [event(1, "TaskStateEntered", "Verify the copy"), event(2, "TaskSubmitted", **started)]
    child = [event(3, "TaskStateEntered", "Plan the verification")]

    steps = Runs(PagedHistory(parent=parent, child=child)).look(PARENT).steps()

    assert [(step.name, step.depth) for step in steps] == [("Verify the copy", 0), ("Plan the verification", 1)]


def test_the_items_of_a_map_are_counted_until_it_is_left() -> None:
    ran = {"mapRunStartedEventDetails": {"mapRunArn": "arn:map"}}
    states = PagedHistory(parent=[event(1, "MapStateEntered", "Dump the batches"), event(2, "MapRunStarted", **ran)])
    history = History(states, PARENT)

    (step,) = history.steps()

    assert (step.done, step.total) == (2, 7)


def test_a_terminal_shows_the_steps_as_they_grow() -> None:
    events = [event(1, "TaskStateEntered", "Start the backup"), event(2, "TaskStateExited", "Start the backup")]
    later = [*events, event(3, "TaskStateEntered", "Plan the copy")]
    looks = iter([(run("RUNNING"), events), (run("FAILED"), later)])
    current: dict[str, Any] = {}

    def look_at_run() -> Run:
        current["run"], current["events"] = next(looks)
        found: Run = current["run"]
        return found

    def look_at_steps() -> list[Any]:
        return merged(History(PagedHistory(parent=current["events"]), PARENT).steps(), [])

    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    ended = watch(Look(run=look_at_run, steps=look_at_steps), console, every=0)

    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    assert ended.status == "FAILED"
    assert "✔" in shown
    assert "✘" in shown
    assert "Plan the copy" in shown


def test_what_takes_long_is_shown_below_the_steps_and_logged_once_a_minute() -> None:
    told = iter([[told_of(0, 95.0)], [told_of(0, 100.0)], [told_of(0, 130.0)], []])
    runs = iter([run("RUNNING"), run("RUNNING"), run("RUNNING"), run("SUCCEEDED")])
    plain = Console(file=io.StringIO(), width=80)
    watch(Look(run=lambda: next(runs), steps=list, lasting=lambda: next(told)), plain, every=0)
    runs = iter([run("RUNNING"), run("SUCCEEDED")])
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    watch(Look(run=lambda: next(runs), steps=list, lasting=lambda: [told_of(0, 95.0)]), terminal, every=0)

    logged, shown = plain.file.getvalue(), terminal.file.getvalue()  # type: ignore[attr-defined]  # both are StringIO
    assert [line.split(", for ")[1] for line in logged.splitlines()] == ["95 s", "2 min"]
    assert "index app.i: building index, 43 %" in shown


def test_a_restore_tells_what_takes_long_until_that_has_ended() -> None:
    scratch, clock = MemoryScratch(), iter(range(0, 1000, 10))
    keys = RunKeys("restore", "restore-1")
    for number in range(2):
        scratch.write(keys.progress("indexes-0", number), told_of(number, 95.0).model_dump_json().encode())
    scratch.write(keys.progress("indexes-0", 2), b'{"of": "another version"}')
    restore = f"{EXECUTION}holdfast-restore-internet:restore-1"
    lasting = Lasting(lambda: scratch, restore, clock=lambda: next(clock))

    both = lasting.now()
    ended = told_of(1, 99.0).model_copy(update={"ended": True})
    scratch.write(keys.progress("indexes-0", 1), ended.model_dump_json().encode())

    assert [each.batch for each in both] == [0, 1]
    assert [each.batch for each in lasting.now()] == [0]


def test_what_takes_long_is_left_out_where_it_may_not_be_read() -> None:
    def denied() -> MemoryScratch:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    assert Lasting(denied, f"{EXECUTION}holdfast-restore-internet:restore-1").now() == []


def test_the_status_tells_what_takes_a_running_restore_long(command: Command) -> None:
    execution = f"{EXECUTION}holdfast-restore-internet:restore-1"
    command.states.known[execution] = {"status": "RUNNING", "startDate": NOON, "input": "{}", "forever": True}
    command.scratch.write(
        RunKeys("restore", "restore-1").progress("indexes-0", 0), told_of(0, 95.0).model_dump_json().encode()
    )

    as_json, for_people = command("status", "--json"), command("status")

    assert as_json.json["runs"][0]["lasting"][0]["percent"] == 43.0
    assert "index app.i: building index, 43 %, for 95 s" in for_people.out


def told_of(batch: int, seconds: float) -> Progress:
    sentence = Sight("m", seconds, "building index", "", {"blocks_done": 43, "blocks_total": 100}).sentence(
        "index app.i"
    )
    return Progress(stage="indexes-0", batch=batch, sentence=sentence, percent=43.0, seconds=seconds, seen_at=NOON)


def test_a_run_of_any_machine_is_found_by_its_name(command: Command) -> None:
    execution = f"{EXECUTION}holdfast-restore-office:restore-stock-1"
    command.states.known[execution] = {"status": "RUNNING", "startDate": NOON, "input": "{}"}

    answer = command("watch", "restore-stock-1", "--json")

    assert answer.code == 0
    assert answer.json["execution"] == execution


def run(status: str) -> Run:
    return Run(arn=PARENT, status=status, started_at=NOON, ended_at=NOON + timedelta(seconds=9), input={}, output={})
