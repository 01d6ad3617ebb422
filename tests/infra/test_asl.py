"""The state machines as graphs: nothing dangles, nothing is unreachable, everything has a limit and a way out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonata
import pytest

from holdfast import errors
from holdfast.contracts import (
    backup,
    capture,
    freezing,
    protecting,
    pruning,
    rebuilding,
    replicating,
    restore,
    retention,
    verify,
)
from holdfast.contracts.message import Contract
from holdfast.usecases.snapshot.hold import HAND_OVER_SECONDS
from holdfast_infra.inventory import ONCE, PER_NETWORK, WORKFLOWS
from holdfast_infra.machines import MACHINES

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("backup", "capture", "verify", "collect", "prune", "protect", "sweep", "rebuild", "replication", "restore")
LAMBDA = "arn:aws:states:::lambda:invoke"
CALLBACK = f"{LAMBDA}.waitForTaskToken"

# Error names that AWS defines, beside the classes of holdfast.errors.
OF_AWS = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "S3.NoSuchKeyException",
    "Sandbox.Timedout",
    "States.ALL",
    "States.HeartbeatTimeout",
    "States.TaskFailed",
    "States.Timeout",
    "StepFunctions.SfnException",
    "StepFunctions.ThrottlingException",
}
INVOKING = {name for name in OF_AWS if name.startswith("Lambda.")} - {"Lambda.Unknown"}
"""What may come of invoking a function that never began."""
LONGEST = 900
"""Seconds of an invocation."""
OUTLIVED = {"SnapshotDump", "RestorePrepare", "RestoreLoad", "RestoreFinish", "RestoreProve"}
# What each function is sent; the first states of a machine merge the execution's own input.
REQUESTS: dict[str, type[Contract]] = {
    "SnapshotHold": backup.HoldRequest,
    "SnapshotPlan": backup.PlanRequest,
    "SnapshotDump": backup.DumpRequest,
    "SnapshotSeal": backup.PointRequest,
    "SnapshotFail": backup.FailRequest,
    "SnapshotFreeze": freezing.FreezeRequest,
    "SnapshotThaw": freezing.ThawRequest,
    "MonitorReplication": replicating.LagRequest,
    "CatalogueRebuild": rebuilding.RebuildRequest,
    "VerifyCheck": verify.CheckRequest,
    "VerifyConclude": verify.VerifyRequest,
    "RestorePrepare": restore.PrepareRequest,
    "RestoreLoad": restore.BatchRequest,
    "RestoreFinish": restore.BatchRequest,
    "RestoreProve": restore.BatchRequest,
    "RestoreCompare": restore.RestoreStep,
    "RestoreValidate": restore.RestoreStep,
    "RestoreReport": restore.ReportRequest,
}
MERGED: dict[str, tuple[type[Contract], set[str]]] = {
    "SnapshotStart": (backup.BackupRequest, {"execution", "execution_started_at"}),
    "VerifyPlan": (verify.VerifyRequest, {"run"}),
    "SnapshotCapture": (capture.CaptureRequest, {"execution", "execution_started_at"}),
    "SnapshotAbandon": (capture.AbandonRequest, {"execution", "execution_started_at", "error", "cause"}),
    "RetentionSweep": (freezing.SweepRequest, {"scheduled_at"}),
    "RetentionCollect": (retention.CollectRequest, {"execution", "run"}),
    "RetentionProtect": (protecting.ProtectRequest, {"execution", "run"}),
    "RetentionPrune": (pruning.PruneRequest, {"execution", "run"}),
    "RestoreAssess": (restore.RestoreRequest, {"execution", "execution_started_at"}),
}


@dataclass(frozen=True)
class Scope:
    """States that share one namespace: a machine, a branch or the processor of a Map."""

    path: str
    body: dict[str, Any]
    outer: tuple[Scope, ...] = ()
    caught: bool = False
    distributed: bool = False
    around: dict[str, Any] = field(default_factory=dict)

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """Return the states by name."""
        found: dict[str, dict[str, Any]] = self.body["States"]
        return found


def definition(name: str) -> dict[str, Any]:
    """Return a machine's definition."""
    found: dict[str, Any] = json.loads((MACHINES / f"{name}.asl.json").read_text(encoding="utf-8"))
    return found


def scopes(scope: Scope) -> Iterator[Scope]:
    """Yield *scope* and every scope within it."""
    yield scope
    for name, state in scope.states.items():
        catches = any("States.ALL" in each["ErrorEquals"] for each in state.get("Catch", []))
        for number, branch in enumerate(state.get("Branches", [])):
            inner = Scope(f"{scope.path}/{name}[{number}]", branch, (*scope.outer, scope), catches, around=state)
            yield from scopes(inner)
        if "ItemProcessor" in state:
            body = state["ItemProcessor"]
            far = body["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
            inner = Scope(f"{scope.path}/{name}", body, (*scope.outer, scope), catches, far, state)
            yield from scopes(inner)


ALL_SCOPES = [pytest.param(scope, id=scope.path) for name in NAMES for scope in scopes(Scope(name, definition(name)))]
ALL_STATES = [
    pytest.param(scope.values[0], name, state, id=f"{scope.values[0].path}/{name}")
    for scope in ALL_SCOPES
    for name, state in scope.values[0].states.items()
]


def _where(*kinds: str, **fields: object) -> list[Any]:
    """Return the states of these types (and, where given, resources)."""
    resources = fields.get("resources")
    return [
        each
        for each in ALL_STATES
        if each.values[2]["Type"] in kinds and (not resources or each.values[2]["Resource"] in resources)
    ]


TASKS = _where("Task")
CALLS = _where("Task", resources={LAMBDA, CALLBACK})
ANSWERED_CALLS = _where("Task", resources={LAMBDA})
MAPS = _where("Map")
CAUGHT = _where("Map", "Parallel")
TRIED = _where("Task", "Map", "Parallel")


def following(state: dict[str, Any]) -> set[str]:
    """Return the names of the states that *state* may go to."""
    found = {state.get("Next"), state.get("Default")}
    found |= {each["Next"] for each in (*state.get("Catch", []), *state.get("Choices", []))}
    return {name for name in found if name}


def expressions(value: Any) -> Iterator[str]:
    """Yield every JSONata expression within *value*."""
    if isinstance(value, dict):
        for each in value.values():
            yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)
    elif isinstance(value, str) and value.startswith("{%"):
        yield value.removeprefix("{%").removesuffix("%}").strip()


def assigned(body: dict[str, Any]) -> set[str]:
    """Return the variables that the states of one scope assign."""
    found: set[str] = set()
    for state in body["States"].values():
        for each in (state, *state.get("Catch", []), *state.get("Choices", [])):
            found |= set(each.get("Assign", {}))
    return found


def function_of(state: dict[str, Any]) -> str:
    """Return the name that an ASL file has for the function that *state* calls."""
    return str(state["Arguments"]["FunctionName"]).removeprefix("${").removesuffix("}")


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_every_transition_leads_to_a_state_of_the_same_scope(scope: Scope) -> None:
    targets = {scope.body["StartAt"]}.union(*[following(state) for state in scope.states.values()])

    assert targets <= set(scope.states)


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_every_state_can_be_reached(scope: Scope) -> None:
    reached, new = set(), {scope.body["StartAt"]}
    while new:
        reached |= new
        new = set().union(*[following(scope.states[name]) for name in new]) - reached

    assert reached == set(scope.states)


@pytest.mark.parametrize(("scope", "name", "state"), ALL_STATES)
def test_every_state_ends_or_goes_on(scope: Scope, name: str, state: dict[str, Any]) -> None:
    ends = state.get("End") is True or state["Type"] in {"Succeed", "Fail"}

    assert ends != bool(following({**state, "Catch": []}))
    assert len(name) <= 80


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_every_loop_has_a_bound(scope: Scope) -> None:
    # A loop is bounded when one of its states chooses by comparing a counter with a number.
    bounded = {
        name
        for name, state in scope.states.items()
        if any(re.search(r"\$\w+ (<|>|<=|>=) \d+", each["Condition"]) for each in state.get("Choices", []))
    }
    without = {name: following(state) - bounded for name, state in scope.states.items() if name not in bounded}

    assert not any(_comes_back(name, without) for name in without)


def _comes_back(start: str, graph: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    new = graph[start]
    while new:
        if start in new:
            return True
        seen |= new
        new = set().union(*[graph[name] for name in new]) - seen
    return False


@pytest.mark.parametrize(("scope", "name", "state"), TASKS)
def test_every_task_has_a_limit_a_retry_and_a_way_out(scope: Scope, name: str, state: dict[str, Any]) -> None:
    assert 0 < state["TimeoutSeconds"] <= 90_000
    assert scope.caught or any("States.ALL" in each["ErrorEquals"] for each in state["Catch"])
    if state["Resource"] == CALLBACK:
        # A silent holder's snapshot is lost; only one that could not be opened, or was never invoked, is tried again.
        assert {error for each in state["Retry"] for error in each["ErrorEquals"]} == {
            "DatabaseBusy",
            "DatabaseUnreachable",
            "StorageThrottled",
            *INVOKING,
        }
        assert state["HeartbeatSeconds"] == 60
        assert state["Arguments"]["InvocationType"] == "Event"
    else:
        assert state["Retry"]


@pytest.mark.parametrize(("scope", "name", "state"), CAUGHT)
def test_every_map_and_parallel_state_is_caught(scope: Scope, name: str, state: dict[str, Any]) -> None:
    assert any("States.ALL" in each["ErrorEquals"] for each in state["Catch"])


@pytest.mark.parametrize(("scope", "name", "state"), CALLS)
def test_functions_end_before_their_states_give_up(scope: Scope, name: str, state: dict[str, Any]) -> None:
    limits = {plan.substitution: plan.seconds for plan in (*PER_NETWORK, *ONCE)}

    assert state["TimeoutSeconds"] >= limits[function_of(state)] + 30


@pytest.mark.parametrize(("scope", "name", "state"), TRIED)
def test_every_error_name_exists(scope: Scope, name: str, state: dict[str, Any]) -> None:
    ours = {found for found, each in vars(errors).items() if isinstance(each, type)}
    named = {error for each in (*state.get("Retry", []), *state.get("Catch", [])) for error in each["ErrorEquals"]}

    assert named <= ours | OF_AWS


@pytest.mark.parametrize(("scope", "name", "state"), TASKS)
def test_only_transient_errors_are_retried_and_ever_more_slowly(scope: Scope, name: str, state: dict[str, Any]) -> None:
    transient = {each.__name__ for each in errors.Transient.__subclasses__()}
    for retry in state.get("Retry", []):
        if retry["MaxAttempts"] == 0:
            continue
        assert not {error for error in retry["ErrorEquals"] if hasattr(errors, error)} - transient
        assert retry["BackoffRate"] > 1
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxDelaySeconds"] <= 60


@pytest.mark.parametrize(("scope", "name", "state"), ANSWERED_CALLS)
def test_every_call_of_a_function_retries_every_transient_error(scope: Scope, name: str, state: dict[str, Any]) -> None:
    retried = {error for each in state["Retry"] for error in each["ErrorEquals"]}
    # Only what runs slices, ranges or chunks in turn may outlive its invocation.
    outlived = set() if function_of(state) in OUTLIVED else {errors.StillWorking.__name__}

    assert {each.__name__ for each in errors.Transient.__subclasses__()} - outlived <= retried
    assert {"Lambda.TooManyRequestsException", "Lambda.ServiceException", "Sandbox.Timedout"} <= retried


@pytest.mark.parametrize(
    ("scope", "name", "state"), [each for each in CALLS if function_of(each.values[2]) in OUTLIVED]
)
def test_work_may_take_hundreds_of_invocations(scope: Scope, name: str, state: dict[str, Any]) -> None:
    (retry,) = [each for each in state["Retry"] if errors.StillWorking.__name__ in each["ErrorEquals"]]

    # Apart from other errors, whose attempts would be used up by it.
    assert retry["ErrorEquals"] == ["StillWorking"]
    assert retry["MaxAttempts"] * state["TimeoutSeconds"] > definition("restore")["TimeoutSeconds"]


@pytest.mark.parametrize(("scope", "name", "state"), CALLS)
def test_what_a_function_is_sent_is_its_contract(scope: Scope, name: str, state: dict[str, Any]) -> None:
    function, payload = function_of(state), state["Arguments"]["Payload"]

    if function in MERGED:
        contract, added = MERGED[function]
        assert set(re.findall(r"'(\w+)': ", payload)) == added <= set(contract.model_fields)
        return
    if scope.distributed:
        assert payload == "{% $states.input.request %}"
        payload = scope.around["ItemSelector"]["request"]
    fields = REQUESTS[function].model_fields
    required = {key for key, each in fields.items() if each.is_required()}
    assert required <= set(payload) <= set(fields)


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_calls_every_function_of_its_workflow_and_no_other(name: str) -> None:
    called = set(re.findall(r'"FunctionName": "\$\{(\w+)\}"', json.dumps(definition(name))))

    assert called == {plan.substitution for plan in WORKFLOWS[name]}


@pytest.mark.parametrize("name", NAMES)
def test_only_names_and_arns_are_filled_in(name: str) -> None:
    text = json.dumps(definition(name))

    filled = set(re.findall(r'"(\w+)": "\$\{\w+\}"', text))

    assert filled <= {"FunctionName", "StateMachineArn", "Bucket"}
    assert text.count("${") == len(re.findall(r'"\w+": "\$\{\w+\}"', text))


@pytest.mark.parametrize(("scope", "name", "state"), MAPS)
def test_every_map_reads_its_items_from_a_bucket_and_bounds_its_workers(
    scope: Scope, name: str, state: dict[str, Any]
) -> None:
    processor = state["ItemProcessor"]

    assert processor["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert state["ItemReader"]["ReaderConfig"] == {"InputType": "JSON"}
    assert state["MaxConcurrency"]
    assert state["Label"].isalnum()
    # No failure is tolerated, and a child that succeeds says nothing: a large result would fail the Map.
    assert not {key for key in state if key.startswith("Tolerated")}
    assert [each["Output"] for each in processor["States"].values() if each.get("End")] == [{}]


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_every_expression_is_jsonata_and_knows_its_variables(scope: Scope) -> None:
    # Children of a Distributed Map are executions of their own: they see no variable of the machine.
    visible = assigned(scope.body)
    if not scope.distributed:
        visible = visible.union(*[assigned(outer.body) for outer in scope.outer])
    own = {
        name: {key: value for key, value in state.items() if key not in {"Branches", "ItemProcessor"}}
        for name, state in scope.states.items()
    }
    for expression in expressions(own):
        jsonata.Jsonata(expression)
        bare = re.sub(r"'[^']*'", "''", expression)
        parameters = set(re.findall(r"\$(\w+)", "".join(re.findall(r"function\(([^)]*)\)", bare))))
        variables = set(re.findall(r"\$(\w+)(?!\w*\()", bare)) - parameters - {"states"}
        assert variables <= visible, expression


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_no_scope_assigns_a_variable_of_an_outer_one(scope: Scope) -> None:
    for outer in scope.outer:
        assert not assigned(scope.body) & assigned(outer.body)


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_is_jsonata_throughout_and_ends_in_time(name: str) -> None:
    machine = definition(name)

    assert machine["QueryLanguage"] == "JSONata"
    assert machine["TimeoutSeconds"] <= 172_800
    assert '"$.' not in json.dumps(machine)


@pytest.mark.parametrize("name", NAMES)
def test_the_validator_of_the_states_language_finds_nothing(name: str) -> None:
    validator = ROOT / "local/node/node_modules/.bin/asl-validator"
    assert validator.exists(), "make setup installs it"
    assert shutil.which("node")

    run = subprocess.run(
        [validator, "--json-path", MACHINES / f"{name}.asl.json"], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_a_successor_that_never_began_is_asked_for_again_while_its_predecessor_holds() -> None:
    """Its predecessor holds on for minutes, and a generation is published once, however often it is asked for."""
    states = definition("backup")["States"]["Copy under one snapshot"]["Branches"][0]["States"]
    hold, asked = states["Hold the snapshot"], states["Does its predecessor still hold?"]
    (again,) = re.findall(r"^{% \$generation > 1 and \$silent <= (\d) %}$", asked["Choices"][0]["Condition"])

    assert hold["Catch"][0]["ErrorEquals"] == ["States.HeartbeatTimeout"]
    assert hold["Catch"][0]["Next"] == "Does its predecessor still hold?"
    assert (asked["Choices"][0]["Next"], asked["Default"]) == ("Hold the snapshot", "Holder fell silent")
    assert hold["Assign"]["silent"] == 0
    assert (int(again) + 1) * hold["HeartbeatSeconds"] < HAND_OVER_SECONDS


def test_the_holders_of_48_hours_fit_into_the_history_of_an_execution() -> None:
    """A history ends at 25,000 events, and the execution with it."""
    machine = definition("backup")
    (bound,) = re.findall(r"\$generation > (\d{3,})", json.dumps(machine))
    seconds, events = LONGEST - HAND_OVER_SECONDS, 8  # six of the task, two of the choice

    assert int(bound) * events < 20_000
    assert int(bound) * seconds > machine["TimeoutSeconds"]


def test_a_run_that_waited_begins_when_its_turn_comes() -> None:
    """A point's id tells when its run began, and the newest id is the newest point."""
    states = definition("backup")["States"]

    assert "'execution_started_at': $started_at}" in states["Start the backup"]["Arguments"]["Payload"]
    assert states["Read the request"]["Assign"]["started_at"] == "{% $states.context.Execution.StartTime %}"
    assert states["Wait for the other backup"]["Assign"] == {"started_at": "{% $now() %}"}
