"""The runner without a cloud around it: what it keeps warm, and for how long."""

from __future__ import annotations

import io
import json
import time
import zipfile

import pytest

from holdfast_local.cloud.declared import host_runtime
from holdfast_local.cloud.function_spec import FunctionSpec
from holdfast_local.cloud.processes import started_at
from holdfast_local.cloud.runner import Runner

CODE = "import os\ndef main(event, context):\n    return os.getpid()\n"


def zipped(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code)
    return buffer.getvalue()


PACKAGE = zipped(CODE)


def spec(**changed) -> FunctionSpec:
    values = {
        "name": "f",
        "arn": "arn:aws:lambda:eu-central-1:000000000000:function:f",
        "region": "eu-central-1",
        "version": "$LATEST",
        "handler": "index.main",
        "runtime": host_runtime(),
        "memory_mb": 128,
        "timeout_s": 5.0,
        "tmp_mb": 512,
        "role": "arn:aws:iam::000000000000:role/r",
        "environment": {},
        "package": PACKAGE,
        "layers": (),
        "log_group": "/aws/lambda/f",
        "log_format": "Text",
        **changed,
    }
    return FunctionSpec(**values)


@pytest.fixture
def make(tmp_path):
    runners = []

    def build(idle_seconds: float = 60.0) -> Runner:
        runner = Runner(tmp_path, credentials=lambda _: {}, sink=lambda *_: None, idle_seconds=idle_seconds)
        runners.append(runner)
        return runner

    yield build
    for runner in runners:
        runner.close()


def pid(runner: Runner, function: FunctionSpec) -> int:
    return json.loads(runner.invoke(function, b"{}", "id").payload)


def eventually(look, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_an_idle_environment_is_retired(make) -> None:
    runner = make(idle_seconds=0.5)
    process = pid(runner, spec())

    eventually(lambda: runner.environments() == 0)
    assert started_at(process) is None


def test_an_environment_that_is_used_is_kept(make) -> None:
    runner = make(idle_seconds=4)
    pids = set()
    for _ in range(10):
        pids.add(pid(runner, spec()))
        time.sleep(0.5)

    assert len(pids) == 1


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"package": zipped(CODE + "# new\n")}, id="code"),
        pytest.param({"environment": {"A": "1"}}, id="environment"),
        pytest.param({"memory_mb": 256}, id="memory"),
        pytest.param({"role": "arn:aws:iam::000000000000:role/other"}, id="role"),
        pytest.param({"layers": (zipped("x = 1"),)}, id="layers"),
    ],
)
def test_a_changed_function_gets_a_new_environment_and_the_old_one_ends(make, changed) -> None:
    runner = make()

    first, second = pid(runner, spec()), pid(runner, spec(**changed))

    assert first != second
    assert runner.environments() == 1


def test_other_functions_keep_their_environments(make) -> None:
    runner = make()

    pid(runner, spec())
    pid(runner, spec(name="g"))

    assert runner.environments() == 2


def test_closing_ends_every_environment(make) -> None:
    runner = make()
    process = pid(runner, spec())

    runner.close()

    assert started_at(process) is None
    assert runner.environments() == 0
