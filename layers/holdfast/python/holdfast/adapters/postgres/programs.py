"""Run psql, pg_dump, pg_restore and pg_dumpall: parameters by environment only, every exit status counted."""

from __future__ import annotations

import contextlib
import fcntl
import math
import select
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from holdfast.adapters.postgres.complaints import complaint
from holdfast.adapters.postgres.parameters import KEEPALIVES, ConnectionParameters
from holdfast.errors import BadConfiguration, HoldfastError, ProgramFailed, StillWorking

BLOCK = 512 * 1024
_PIPE_BYTES = 1024 * 1024  # the most that an unprivileged process may ask for; fewer switches between processes
_STDERR_BYTES = 16 * 1024
_CONNECT_SECONDS = "30"


def locate(name: str) -> str:
    """
    Return the path of program *name* on PATH, where the layer with the client programs puts it.

    Raises `BadConfiguration` when it is missing.
    """
    found = shutil.which(name)
    if found is None:
        raise BadConfiguration(f"The program {name} is missing.", hint="The layer with the client programs brings it.")
    return found


class Program:
    """
    One running program; leaving the `with` block early kills it.

    Read `blocks()` to the end, or `write()` and `finish()`: both raise when the program failed, so that
    output that ended early is never taken for complete.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        parameters: ConnectionParameters | None = None,
        *,
        application_name: str = "holdfast",
        extra: Mapping[str, str] | None = None,
        stdin: bool = False,
        doing: str = "",
    ) -> None:
        """Start *name*; *extra* adds environment variables, *doing* completes "… failed while" in messages."""
        self.name, self.doing, self._parameters = name, doing, parameters
        self._process = subprocess.Popen(
            [locate(name), *_kept_alive(parameters), *arguments],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/tmp",  # noqa: S108  # the only place a function may write to
            env=_environment(parameters, application_name, extra or {}),
        )
        self._errors = bytearray()
        self._listener = threading.Thread(target=self._listen, name=f"{name}-stderr", daemon=True)
        self._listener.start()
        for pipe in (self._process.stdin, self._process.stdout):
            _widen(pipe)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._close()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def blocks(self, size: int = BLOCK) -> Iterator[bytearray]:
        """
        Yield standard output in blocks of *size* bytes; only the last one may be shorter.

        Raises after the last block when the program failed: nothing read may be used before the iterator ends.
        """
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101  # opened above
        while True:
            block = _fill(pipe, size)
            if block:
                yield block
            if len(block) < size:
                break
        self.check()

    def readable(self, within: float) -> bool:
        """Wait at most *within* seconds for output, or for its end; answer whether `read_into` will not wait."""
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101  # opened above
        seconds = None if within == math.inf else max(within, 0.0)
        return bool(select.select([pipe], [], [], seconds)[0])

    def read_into(self, buffer: memoryview) -> int:
        """Read what is there, at least one byte, into *buffer*; 0 is the end: `check` then."""
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101  # opened above
        return pipe.readinto(buffer) or 0  # type: ignore[attr-defined]  # unbuffered pipes are FileIO

    def read_all(self, seconds_left: Callable[[], float] | None = None) -> bytes:
        """
        Return all of standard output, for programs whose output is small.

        Raises `StillWorking` when *seconds_left* says that there are none before the program has ended.
        """
        if seconds_left is None:
            return b"".join(self.blocks())
        read, buffer = bytearray(), memoryview(bytearray(BLOCK))
        while True:
            left = seconds_left()
            if left <= 0 or not self.readable(left):
                raise StillWorking(f"There was no time left for {self.name}{self._while()}.")
            count = self.read_into(buffer)
            if not count:
                break
            read += buffer[:count]
        self.check()
        return bytes(read)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data* to standard input; raises the program's own error when it is gone."""
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101  # asked for with stdin=True
        view = memoryview(data)
        try:
            while view:
                view = view[pipe.write(view) :]
        except BrokenPipeError:
            self._fail_because_gone()

    def finish(self) -> bytes:
        """Close standard input and return the rest of the output; raises when the program failed."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        return self.read_all()

    @property
    def complaints(self) -> str:
        """Return the last 16 KiB of standard error so far, as they are: not for messages."""
        return self._errors.decode(errors="replace")

    def _listen(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None  # noqa: S101  # opened above
        with contextlib.suppress(OSError, ValueError):
            while data := pipe.read(4096):
                self._errors += data
                del self._errors[:-_STDERR_BYTES]

    def check(self) -> None:
        """Wait until the program ends; raise when it failed."""
        status = self._process.wait()
        self._listener.join(timeout=5)
        if status != 0:
            raise self._failure(status)

    def _fail_because_gone(self) -> None:
        self._process.kill()
        self.check()
        raise ProgramFailed(f"{self.name} stopped reading before its input ended{self._while()}.")

    def _failure(self, status: int) -> HoldfastError:
        at = f"{self._parameters.host}:{self._parameters.port}" if self._parameters else ""
        return complaint(
            self.name, status, self.complaints, at=at, doing=self.doing, secrets=_secrets(self._parameters)
        )

    def _while(self) -> str:
        return f" while {self.doing}" if self.doing else ""

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()
        self._listener.join(timeout=5)
        if self._process.stderr:
            self._process.stderr.close()


def run(
    name: str,
    arguments: Sequence[str],
    parameters: ConnectionParameters | None = None,
    *,
    application_name: str = "holdfast",
    extra: Mapping[str, str] | None = None,
    given: bytes | None = None,
    doing: str = "",
) -> bytes:
    """Run a program to its end, with *given* on standard input, and return its output, which must be small."""
    with Program(
        name,
        arguments,
        parameters,
        application_name=application_name,
        extra=extra,
        stdin=given is not None,
        doing=doing,
    ) as program:
        if given is None:
            return program.read_all()
        # Programs that read all of their input before they answer; others need a thread on each side.
        program.write(given)
        return program.finish()


def _kept_alive(parameters: ConnectionParameters | None) -> list[str]:
    """
    Return the argument that keeps the program's connections alive.

    libpq reads these from no environment variable. All else about the connection stays in the environment, which
    gives what a connection string leaves out: command lines are open to everybody.
    """
    if parameters is None:
        return []
    return [f"--dbname={' '.join(f'{name}={value}' for name, value in KEEPALIVES.items())}"]


def _environment(
    parameters: ConnectionParameters | None, application_name: str, extra: Mapping[str, str]
) -> dict[str, str]:
    """Return all variables that the program gets: nothing of ours leaks into it."""
    connection = parameters.environment() if parameters else {}
    return {
        "HOME": "/tmp",  # noqa: S108  # no ~/.pgpass, ~/.psqlrc or certificates of somebody else
        "LC_ALL": "C",
        "PGAPPNAME": application_name,
        "PGCONNECT_TIMEOUT": _CONNECT_SECONDS,
        **connection,
        **extra,
    }


def _secrets(parameters: ConnectionParameters | None) -> tuple[str, ...]:
    return (parameters.password,) if parameters and parameters.password else ()


def _widen(pipe: IO[bytes] | None) -> None:
    """Make the pipe as large as the system allows; a smaller one is only slower."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _fill(pipe: IO[bytes], size: int) -> bytearray:
    """Read until *size* bytes or the end."""
    block = bytearray(size)
    view, filled = memoryview(block), 0
    while filled < size:
        count = pipe.readinto(view[filled:])  # type: ignore[attr-defined]  # unbuffered pipes are FileIO
        if not count:
            view.release()
            del block[filled:]
            break
        filled += count
    return block
