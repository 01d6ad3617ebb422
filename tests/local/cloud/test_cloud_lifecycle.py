"""The local cloud as a background service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast_local.cloud import hooks, lifecycle
from holdfast_local.cloud.clients import client, client_as
from holdfast_local.cloud.errors import CloudAlreadyRunning, CloudFailedToStart, CloudNotRunning, HookBroken
from holdfast_local.cloud.processes import started_at


@pytest.fixture
def running(tmp_path):
    endpoint = lifecycle.start(tmp_path / "state")
    yield endpoint
    lifecycle.down(tmp_path / "state")


def test_it_runs_until_it_is_taken_down(tmp_path) -> None:
    state = tmp_path / "state"
    endpoint = lifecycle.start(state)

    assert lifecycle.status(state) == endpoint
    assert lifecycle.down(state) is True
    assert lifecycle.status(state) is None
    assert lifecycle.down(state) is False
    assert started_at(endpoint.pid) != endpoint.started


def test_it_listens_on_the_loopback_interface_only(running) -> None:
    port = f"{int(running.url.rsplit(':', 1)[1]):04X}"
    listeners = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listeners += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]

    addresses = [line[1] for line in listeners if line[1].endswith(f":{port}") and line[3] == "0A"]

    assert addresses == [f"0100007F:{port}"]


def test_nothing_is_left_when_the_server_is_killed(cloud, tmp_path) -> None:
    from textwrap import dedent

    state = tmp_path / "state"
    endpoint = lifecycle.start(state)
    client("iam", endpoint.url, endpoint.region).create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    )
    import io
    import zipfile

    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "index.py",
            dedent(
                """
                import os, subprocess
                def main(event, context):
                    return [os.getpid(), subprocess.Popen(["sleep", "500"]).pid]
                """
            ),
        )
    functions = client("lambda", endpoint.url, endpoint.region)
    functions.create_function(
        FunctionName="f",
        Runtime=cloud.runtime,
        Role="arn:aws:iam::000000000000:role/r",
        Handler="index.main",
        Code={"ZipFile": code.getvalue()},
    )
    processes = json.loads(functions.invoke(FunctionName="f")["Payload"].read())

    os.kill(endpoint.pid, signal.SIGKILL)
    os.waitpid(endpoint.pid, 0)

    cloud.eventually(lambda: all(started_at(process) is None for process in processes))
    assert lifecycle.status(state) is None


def test_a_state_file_of_a_process_that_has_gone_is_no_running_cloud(tmp_path) -> None:
    state = {
        "url": "http://127.0.0.1:1",
        "region": "eu-central-1",
        "account": "0",
        "pid": os.getpid(),
        "started": "another time",
        "directory": str(tmp_path),
    }
    (tmp_path / "cloud.json").write_text(json.dumps(state))

    assert lifecycle.status(tmp_path) is None
    assert lifecycle.down(tmp_path) is False
    with pytest.raises(CloudNotRunning):
        lifecycle.require(tmp_path)


def test_what_a_killed_server_kept_is_gone_after_taking_it_down(tmp_path) -> None:
    state = tmp_path / "state"
    endpoint = lifecycle.start(state)
    (state / "sandboxes" / "one").mkdir(parents=True)
    (state / "sandboxes" / "one" / "rows").write_text("1\tAda\n")
    os.kill(endpoint.pid, signal.SIGKILL)
    os.waitpid(endpoint.pid, 0)

    lifecycle.down(state)

    assert not [name for name in (*lifecycle.TRANSIENT, "endpoint.json", "cloud.json") if (state / name).exists()]


def test_directories_of_somebody_else_are_neither_used_nor_removed(tmp_path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "mine").write_text("precious")

    with pytest.raises(CloudFailedToStart, match="holds something else: services"):
        lifecycle.start(tmp_path)
    lifecycle.down(tmp_path)

    assert (tmp_path / "services" / "mine").read_text() == "precious"


def test_a_start_that_is_interrupted_leaves_no_server(tmp_path, monkeypatch) -> None:
    def interrupt(state, process):
        started.append((process.pid, started_at(process.pid)))
        raise KeyboardInterrupt

    started: list[tuple[int, str | None]] = []
    monkeypatch.setattr(lifecycle, "_await_answer", interrupt)

    with pytest.raises(KeyboardInterrupt):
        lifecycle.start(tmp_path / "state")

    ((process, moment),) = started
    assert moment is not None
    assert started_at(process) != moment
    assert lifecycle.status(tmp_path / "state") is None


def test_a_server_whose_starter_was_killed_is_found_and_stopped(tmp_path) -> None:
    state = tmp_path / "state"
    program = f"""
import os
from pathlib import Path
from holdfast_local.cloud import lifecycle
lifecycle._await_answer = lambda *_: os._exit(9)
lifecycle.start(Path({str(state)!r}))
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    left = json.loads((state / "cloud.json").read_text())

    alive = started_at(left["pid"]) == left["started"]
    ran, running = lifecycle.down(state), started_at(left["pid"]) == left["started"]

    assert (alive, ran, running) == (True, True, False)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'], ids=["empty", "cut off", "a list", "fields missing"])
def test_a_state_file_that_makes_no_sense_is_no_running_cloud(tmp_path, text) -> None:
    (tmp_path / "cloud.json").write_text(text)

    assert lifecycle.status(tmp_path) is None


def test_a_server_that_cannot_start_says_why(tmp_path, running) -> None:
    port = int(running.url.rsplit(":", 1)[1])

    with pytest.raises(CloudFailedToStart, match="in use"):
        lifecycle.start(tmp_path / "second", port=port)


def test_a_second_one_for_the_same_state_is_refused(running) -> None:
    with pytest.raises(CloudAlreadyRunning):
        lifecycle.start(Path(running.directory))


def test_nobody_else_may_read_its_state(running) -> None:
    assert Path(running.directory).stat().st_mode & 0o077 == 0


def test_neither_a_proxy_nor_a_profile_of_the_user_s_leads_elsewhere(running, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    assert (
        client_as(
            {"aws_access_key_id": "test", "aws_secret_access_key": "test"}, "sts", running.url, running.region
        ).get_caller_identity()["Account"]
        == running.account
    )


def test_it_can_be_taken_down_by_another_process(tmp_path) -> None:
    state = tmp_path / "state"
    endpoint = lifecycle.start(state)
    program = f"""
from pathlib import Path
from holdfast_local.cloud import lifecycle
print(lifecycle.down(Path({str(state)!r})))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "True"
    os.waitpid(endpoint.pid, 0)
    assert lifecycle.status(state) is None


def test_objects_on_disk_are_read_back_and_leave_the_memory(tmp_path) -> None:
    state = tmp_path / "state"
    endpoint = lifecycle.start(state, objects_on_disk=True)
    try:
        s3 = client("s3", endpoint.url, endpoint.region)
        s3.create_bucket(Bucket="big", CreateBucketConfiguration={"LocationConstraint": endpoint.region})
        s3.put_bucket_versioning(Bucket="big", VersioningConfiguration={"Status": "Enabled"})
        body = os.urandom(16 << 20)
        before = _resident(endpoint.pid)
        versions = [
            s3.put_object(Bucket="big", Key="k", Body=body[: -number or None])["VersionId"] for number in range(8)
        ]

        assert s3.get_object(Bucket="big", Key="k", VersionId=versions[0])["Body"].read() == body
        assert s3.get_object(Bucket="big", Key="k")["Body"].read() == body[:-7]
        assert _resident(endpoint.pid) - before < 90 << 20
    finally:
        lifecycle.down(state)


def _resident(process: int) -> int:
    time.sleep(0.2)
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_another_version_of_a_package_is_refused() -> None:
    with pytest.raises(HookBroken, match=r"ministack is 1\.5\.33, not 9"):
        hooks.require_pinned({"ministack": "9"})


def test_a_function_that_takes_other_parameters_is_refused() -> None:
    class Owner:
        @staticmethod
        def act(first, second):
            return first, second

    with pytest.raises(HookBroken, match=r"takes \(first, second\), not \(first\)"):
        hooks.replace(Owner, "act", lambda first: first, expects=("first",))
    with pytest.raises(HookBroken, match="does not exist"):
        hooks.replace(Owner, "gone", lambda: None, expects=())
