"""The local cloud as a background service: up, down, status."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from holdfast_local.cloud.deploy import Deployed, deploy
from holdfast_local.cloud.errors import CloudAlreadyRunning, CloudFailedToStart, CloudNotRunning
from holdfast_local.cloud.processes import started_at
from holdfast_local.interrupts import held

STATE = "cloud.json"
ENDPOINT = "endpoint.json"
LOG = "server.log"
TRANSIENT = ("objects", "sandboxes", "services")
"""Directories that end with the server; unpacked packages and bytecode stay, since they save the next one time."""
START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOG_LINES = 20
DEFAULT_REGION = "eu-central-1"

_ELSEWHERE = "Name a directory of its own for the local cloud's state."
_DIRECTLY = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class Endpoint:
    """A running local cloud. Its deployer's credentials are `test` and `test`: the root of the account."""

    url: str
    region: str
    account: str
    pid: int
    started: str
    directory: str

    def environment(self) -> dict[str, str]:
        """Return the variables that lead any AWS client here, as the deployer."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }


def up(
    assembly: Path,
    state: Path,
    *,
    port: int = 0,
    region: str = DEFAULT_REGION,
    objects_on_disk: bool = False,
    schedules_fire: bool = False,
    report: Callable[[Deployed], None] = lambda _: None,
) -> Endpoint:
    """
    Start the local cloud that keeps its state in *state*, unless it runs, and deploy *assembly* into it.

    Repeatable: a second call deploys what has changed. Objects are kept in memory unless
    *objects_on_disk*; nothing survives `down` either way. Schedules fire by the clock only when
    *schedules_fire*.
    """
    endpoint = status(state)
    if endpoint is None:
        endpoint = start(
            state, port=port, region=region, objects_on_disk=objects_on_disk, schedules_fire=schedules_fire
        )
    deploy(assembly, endpoint=endpoint.url, region=endpoint.region, report=report)
    return endpoint


def start(
    state: Path,
    *,
    port: int = 0,
    region: str = DEFAULT_REGION,
    objects_on_disk: bool = False,
    schedules_fire: bool = False,
) -> Endpoint:
    """
    Start an empty local cloud in the background and wait until it answers.

    Raises `CloudAlreadyRunning`, `CloudFailedToStart` with the last lines of its log.
    """
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)  # what functions write, and objects on disk, are the databases' rows
    with _alone(state):
        if status(state) is not None:
            raise CloudAlreadyRunning(f"A local cloud runs already for {state}.")
        _sweep(state)
        if foreign := [name for name in TRANSIENT if (state / name).exists()]:
            raise CloudFailedToStart(f"{state} holds something else: {', '.join(foreign)}.", hint=_ELSEWHERE)
        return _launch(state, port=port, region=region, objects_on_disk=objects_on_disk, schedules_fire=schedules_fire)


def _launch(state: Path, *, port: int, region: str, objects_on_disk: bool, schedules_fire: bool) -> Endpoint:
    command = [sys.executable, "-m", "holdfast_local.cloud.server", "--directory", str(state)]
    command += ["--port", str(port), "--region", region]
    command += [*["--objects-on-disk"] * objects_on_disk, *["--schedules-fire"] * schedules_fire]
    process = None
    try:
        with held():
            process = _server(command, state / LOG)
            # Already now: whoever kills this process while it waits must find the server again.
            _record(state, Endpoint("", region, "", process.pid, started_at(process.pid) or "", str(state)))
        endpoint = _await_answer(state, process)
        _record(state, endpoint)
    except BaseException:  # Ctrl-C too
        if process is not None:
            process.kill()
            process.wait()
        _sweep(state)
        raise
    process.returncode = 0  # it is meant to outlive this process; without this, Popen warns about it
    return endpoint


def _server(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("w", encoding="utf-8") as text:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=text, stderr=subprocess.STDOUT, start_new_session=True
        )


def status(state: Path) -> Endpoint | None:
    """Return the local cloud that keeps its state in *state*, or None when it does not run, or not yet."""
    endpoint = _recorded(state)
    return endpoint if endpoint and endpoint.url else None


def require(state: Path) -> Endpoint:
    """Return the local cloud of *state*; raise `CloudNotRunning`."""
    endpoint = status(state)
    if endpoint is None:
        raise CloudNotRunning(f"No local cloud runs for {state}.")
    return endpoint


def down(state: Path) -> bool:
    """Stop the local cloud of *state* with its functions, remove what it kept, and say whether it ran."""
    return _sweep(state)


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Let one process at a time start something here."""
    with (state / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep(state: Path) -> bool:
    """Stop the process that is recorded, if it lives, and remove what it kept: after a crash, too, that is rows."""
    endpoint = _recorded(state)
    if endpoint is not None:
        _stop(endpoint)
    if _is_ours(state):
        for name in TRANSIENT:
            shutil.rmtree(state / name, ignore_errors=True)
    for name in (STATE, ENDPOINT):
        (state / name).unlink(missing_ok=True)
    return endpoint is not None


def _is_ours(state: Path) -> bool:
    """Tell a state's directory from any other that has a `services` or `objects` of its own."""
    return any((state / name).exists() for name in (STATE, ENDPOINT))


def _record(state: Path, endpoint: Endpoint) -> None:
    partial = state / f"{STATE}.partial"
    partial.write_text(json.dumps(asdict(endpoint), indent=1), encoding="utf-8")
    partial.replace(state / STATE)


def _recorded(state: Path) -> Endpoint | None:
    """
    Return the process that *state* tells of, if it lives; its URL is empty until it has answered.

    A file that a crash left behind is recognised: id and start time must both be the process's.
    """
    try:
        endpoint = Endpoint(**json.loads((state / STATE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return endpoint if started_at(endpoint.pid) == endpoint.started else None


def _stop(endpoint: Endpoint) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(endpoint.pid, number)
        except ProcessLookupError:
            return
        limit = time.monotonic() + STOP_SECONDS
        while started_at(endpoint.pid) == endpoint.started and time.monotonic() < limit:
            _reap(endpoint.pid)
            time.sleep(0.05)
        if started_at(endpoint.pid) != endpoint.started:
            return


def _reap(pid: int) -> None:
    # When this process has started the server itself, its end must be collected.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _await_answer(state: Path, process: subprocess.Popen[bytes]) -> Endpoint:
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise CloudFailedToStart(f"The local cloud ended at once: {_last_lines(state / LOG)}")
        endpoint = _announced(state, process.pid)
        if endpoint is not None and _answers(endpoint.url):
            return endpoint
        time.sleep(0.05)
    raise CloudFailedToStart(f"The local cloud did not answer within {START_SECONDS:.0f} s: {_last_lines(state / LOG)}")


def _announced(state: Path, pid: int) -> Endpoint | None:
    try:
        announced = json.loads((state / ENDPOINT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Endpoint(
        url=f"http://127.0.0.1:{announced['port']}",
        region=announced["region"],
        account=announced["account"],
        pid=pid,
        started=started_at(pid) or "",
        directory=str(state),
    )


def _answers(url: str) -> bool:
    try:
        with _DIRECTLY.open(f"{url}/_ministack/health", timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
