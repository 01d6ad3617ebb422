"""Have `holdfast_local.synthesis` build layers and template beside other work, and end it when that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from holdfast.errors import ProgramFailed
from holdfast_infra.replacing import replacing
from holdfast_local.interrupts import held

END_SECONDS = 5.0
_QUOTED_LINES = 15
_ENVIRONMENT = {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20", "CDK_VALIDATION": "false"}


class Synthesis:
    """The process that builds, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        self._process, self._said = process, said

    def result(self) -> None:
        """Wait until all is built; raises `ProgramFailed` with the end of what it says."""
        if self._process.wait():
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            said = "\n".join(lines[-_QUOTED_LINES:])
            raise ProgramFailed(f"The template cannot be built: {said}")

    def end(self) -> None:
        """End the process, unless it has ended; it is asked first, so that it ends Node's and removes its scratch."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def begun(configuration: Path, output: Path, limits: Sequence[str] = ()) -> Iterator[Synthesis]:
    """
    Start to build the host's layers, where they are out of date, and the template: *output*, when the block has ended.

    The process ends with the block, and only then goes what it has half written: its Node process writes until the end.
    In a session of its own: Ctrl-C of a terminal goes to every process of a group, CDK's Node process dies of it
    whatever we do, and that would look like a template that cannot be built.
    """
    found = None
    with tempfile.TemporaryFile() as said, replacing(output) as fresh:
        command = [sys.executable, "-m", "holdfast_local.synthesis", str(configuration), str(fresh), *limits]
        try:
            with held():
                found = Synthesis(_started(command, said), said)
            yield found
        finally:
            if found:
                found.end()


def _started(command: list[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**os.environ, **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        start_new_session=True,
    )
