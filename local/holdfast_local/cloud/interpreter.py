"""
Set up moto's interpreter of the Amazon States Language for the local cloud.

The interpreter is complete but was written to run inside moto. Here it calls every service through the
local endpoint, with the credentials of the state machine's role. The corrections stand in modules by
subject: `sdk_names`, `jsonata_engine`, `callbacks`, `maps`, and `halting`.

Differences from AWS that remain: no redrive, ItemBatcher, ResultWriter files, JSONL reader, activities
or Express workflows; the items of a Distributed Map are not executions of their own (their histories
cannot be read; `$states.context.Execution` is the parent's); no EventBridge events of executions; no
logging of executions to CloudWatch.
"""

from __future__ import annotations

import functools
import threading
import uuid
from typing import Any

from botocore.config import Config

from holdfast_local.cloud import callbacks, halting, hooks, jsonata_engine, maps, permissions, sdk_names
from holdfast_local.cloud.clients import client_as

PARSER = "moto.stepfunctions.parser"
TASK = f"{PARSER}.asl.component.state.exec.state_task"
NESTED_POLL_SECONDS = 0.1  # how often a nested execution is looked at; moto's 0.5 s only costs time here
NO_TIMEOUT_SECONDS = 99999999


def install(endpoint: str) -> None:
    """Correct the interpreter and lead all its calls to *endpoint*."""
    hooks.module(f"{PARSER}.models")
    clients = Clients(endpoint)
    hooks.replace_imported(PARSER, "boto_client_for", clients.client_for)
    sdk_names.install()
    jsonata_engine.install()
    callbacks.install()
    maps.install()
    halting.install()
    nested = hooks.module(f"{TASK}.service.state_task_service_callback")
    hooks.assign(nested, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", NESTED_POLL_SECONDS)
    _install_parse_cache()
    _install_no_hidden_timeout()
    _install_caught_error_names()


class Clients:
    """Clients of the interpreter, one for each region, service and role, since making one takes 16 ms."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._known: dict[tuple[str, str, str], Any] = {}
        self._lock = threading.Lock()

    def client_for(self, region: str, service: str, state_credentials: Any = None) -> Any:
        """Return the client that acts in *region* on *service* as the state machine's role."""
        key = (region, service, state_credentials.role_arn)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._make(*key)
            return self._known[key]

    def _make(self, region: str, service: str, role: str) -> Any:
        config = Config(parameter_validation=False, max_pool_connections=100)
        session = permissions.role_session(role, name="states", region=region)
        made = client_as(session, service, self._endpoint, region, config)
        made.meta.events.register("after-call", _name_request)
        return made


def _name_request(parsed: Any, **_: Any) -> None:
    # ministack names no request in its refusals, and moto writes the name into the cause.
    if isinstance(parsed, dict):
        parsed.setdefault("ResponseMetadata", {}).setdefault("RequestId", str(uuid.uuid4()))


def parse(definition: str) -> Any:
    """Parse a state machine's *definition*; raises what the parser raises when it is not valid."""
    return _parse(definition)


@functools.lru_cache(maxsize=256)
def _parse(definition: str) -> Any:
    parser = hooks.module(f"{PARSER}.asl.parse.asl_parser").AmazonStateLanguageParser
    return parser.parse(definition)[0]


def _install_parse_cache() -> None:
    # Parsing takes 2 ms a state, with the interpreter lock held. What it yields keeps no state of an
    # execution: the items of a Map share it already.
    worker = hooks.module(f"{PARSER}.backend.execution_worker").ExecutionWorker

    def entrypoint(self: Any) -> Any:
        return parse(self._evaluation_details.state_machine_details.definition)

    hooks.replace(worker, "_get_evaluation_entrypoint", entrypoint, expects=("self",))


def _install_no_hidden_timeout() -> None:
    # moto gives a task with HeartbeatSeconds but no TimeoutSeconds 60 s; AWS lets it run on.
    state = hooks.module(f"{PARSER}.asl.component.state.exec.execute_state")
    original = state.ExecutionState.from_state_props

    def from_state_props(self: Any, state_props: Any) -> None:
        original(self, state_props)
        if self.timeout.is_default_value() and self.heartbeat is not None:
            self.timeout = state.TimeoutSeconds(timeout_seconds=NO_TIMEOUT_SECONDS, is_default=True)

    hooks.replace(state.ExecutionState, "from_state_props", from_state_props, expects=("self", "state_props"))


def _install_caught_error_names() -> None:
    # A Fail state may pass on a States.* name that was caught before; moto takes that for a mistake.
    names = hooks.module(f"{PARSER}.asl.component.common.error_name.custom_error_name")
    base = hooks.module(f"{PARSER}.asl.component.common.error_name.error_name").ErrorName

    def init(self: Any, error_name: str | None) -> None:
        base.__init__(self, error_name=error_name)

    hooks.replace(names.CustomErrorName, "__init__", init, expects=("self", "error_name"))
