"""
A warm function: a process that answers invocations one after the other, as Lambda's would.

    python -m bench.archive.worker ROOT

Each line on standard input is an invocation: JSON with `function` (such as `snapshot.dump`) and `event`. Each
line on standard output is its answer: JSON with `answer`, or with `error` (the class that a state machine
matches) and `cause`. Log lines of the functions go to standard error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bench.archive.world import BenchWiring, World
from holdfast.settings import Settings
from holdfast.wiring import Wiring

FUNCTIONS = Path(__file__).parents[2] / "functions"
SECONDS = 900
Handler = Callable[[dict[str, Any], "Context"], Any]


class Context:
    """What handlers ask of Lambda's context."""

    def __init__(self, function: str) -> None:
        self.function_name = f"bench-{function.replace('.', '-')}"
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = 1769
        self.invoked_function_arn = f"arn:aws:lambda:eu-central-1:000000000000:function:{self.function_name}"
        self.aws_request_id = "00000000-0000-0000-0000-000000000000"
        self.log_group_name = self.log_stream_name = "bench"
        self._until = time.monotonic() + SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of a function's fifteen minutes."""
        return int((self._until - time.monotonic()) * 1000)


@cache
def handler_of(function: str) -> Handler:
    """Import the handler of *function* from its own file."""
    capability, name = function.split(".")
    path = FUNCTIONS / capability / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"bench_{capability}_{name}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"There is no function {function}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


def warm_up() -> int:
    """
    Invoke every function once with an event that it refuses, and return how many there are.

    Some packages are imported by the first invocation only.
    """
    names = [f"{path.parent.name}.{path.stem}" for path in sorted(FUNCTIONS.glob("*/[a-z]*.py"))]
    return len([answer({"function": name, "event": {}}) for name in names])


def replace_wiring(world: World) -> None:
    """Let every function find the bench's directories behind its ports instead of AWS."""
    wiring = BenchWiring(world)

    def from_environment(kind: type[Settings] = Settings) -> Wiring:
        del kind
        return wiring

    Wiring.from_environment = staticmethod(from_environment)  # type: ignore[method-assign]


def answer(invocation: dict[str, Any]) -> dict[str, Any]:
    """Call the handler; its error is an answer too. Without a function's name all of them are warmed up."""
    function = invocation["function"]
    if not function:
        return {"answer": warm_up()}
    try:
        return {"answer": handler_of(function)(invocation["event"], Context(function))}
    except Exception as error:  # noqa: BLE001  # the scheduler decides what becomes of it
        return {"error": type(error).__name__, "cause": str(error)}


def main() -> None:
    """Answer invocations until there are no more."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what handlers print are logs
    sys.path.insert(0, str(FUNCTIONS.parent))
    replace_wiring(World.read(Path(sys.argv[1])))
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
