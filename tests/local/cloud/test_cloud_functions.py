"""What a function meets when it runs: its environment, its limits, and what the platform says of its failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.fixture
def own(cloud, tmp_path):
    """Deploy a function of the test's own, with the given properties, and return its name."""

    def make(**properties):
        role_of = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
        function = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {
                    "S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"},
                    "S3Key": "{code}",
                },
                "Handler": "main.main",
                "Runtime": cloud.runtime,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Timeout": 20,
                "MemorySize": 256,
                "Layers": [cloud.outputs["SdkLayer"]],
                **properties,
            },
        }
        template = {
            "Resources": {"Role": role_of, "Function": function},
            "Outputs": {"Function": {"Value": {"Ref": "Function"}}},
        }
        return cloud.deploy(tmp_path / "own", template)["Function"]

    return make


TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def test_a_function_sees_the_environment_that_lambda_gives(cloud) -> None:
    about = cloud.invoke(cloud.outputs["Worker"], {"op": "about"})

    env = about["env"]
    assert about["name"] == env["AWS_LAMBDA_FUNCTION_NAME"] == cloud.outputs["Worker"]
    assert about["arn"] == cloud.outputs["WorkerArn"]
    assert int(about["memory"]) == int(env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) == 256
    assert 15_000 < about["remaining"] <= 20_000
    assert env["AWS_REGION"] == cloud.region
    assert env["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{cloud.runtime}"
    assert env["COLOUR"] == "green"
    assert env["AWS_ENDPOINT_URL"] == cloud.url
    assert env["AWS_ACCESS_KEY_ID"].startswith("ASIA")


def test_a_function_sees_nothing_of_the_environment_that_it_is_developed_in(cloud) -> None:
    about = cloud.invoke(cloud.outputs["Worker"], {"op": "about"})

    assert not [path for path in about["path"] if ".venv" in path]
    assert "PGPASSWORD" not in about["env"]
    assert about["env"]["TMPDIR"].startswith(cloud.endpoint.directory)


def test_programs_and_modules_of_a_layer_are_found(cloud) -> None:
    assert cloud.invoke(cloud.outputs["Worker"], {"op": "run_tool"}) == {"output": "tool speaks", "module": "layered"}


def test_an_environment_is_used_again(own, cloud) -> None:
    name = own()

    first, second = (cloud.invoke(name, {"op": "about"}) for _ in range(2))

    assert (first["cold"], second["cold"]) == (True, False)
    assert first["pid"] == second["pid"]


def test_invocations_at_the_same_time_have_environments_of_their_own(own, cloud) -> None:
    name = own()

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: cloud.invoke(name, {"op": "start_ticking"}), range(3)))

    assert len({answer["pid"] for answer in answers}) == 3


def test_an_invocation_in_a_warm_environment_takes_some_milliseconds(cloud) -> None:
    cloud.invoke(cloud.outputs["Worker"], {"op": "echo"})
    times = []
    for _ in range(20):
        started = time.monotonic()
        cloud.invoke(cloud.outputs["Worker"], {"op": "echo"})
        times.append(time.monotonic() - started)

    assert sorted(times)[10] < 0.2  # 4 ms on an idle machine


def test_an_exception_is_reported_as_aws_reports_it(cloud) -> None:
    answer = cloud.invoke(cloud.outputs["Worker"], {"op": "fail", "message": "no lock"})

    assert answer["FunctionError"] == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("SourceBusy", "no lock")
    assert any("main.py" in line for line in answer["stackTrace"])


def test_a_function_that_takes_too_long_is_ended_with_all_its_programs(cloud) -> None:
    answer = cloud.invoke(cloud.outputs["Short"], {"op": "spawn", "then": "hang", "detached": True})

    assert answer["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    sleepers = [line.split()[0] for line in listed.splitlines() if line.strip().endswith("sleep 600")]
    assert [pid for pid in sleepers if cloud.outputs["Short"] in environment_of(pid)] == []


def environment_of(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


@pytest.mark.parametrize(
    "operation", ["grow", "grow_child"], ids=["its own memory", "the memory of a program it started"]
)
def test_a_function_that_takes_too_much_memory_is_ended(cloud, operation) -> None:
    answer = cloud.invoke(cloud.outputs["Small"], {"op": operation})

    assert answer["errorType"] == "Runtime.OutOfMemory"


def test_a_function_that_exits_is_reported_with_its_status(cloud) -> None:
    answer = cloud.invoke(cloud.outputs["Worker"], {"op": "exit_now"})

    assert answer["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in answer["errorMessage"]


def test_code_that_cannot_be_loaded_fails_the_invocation_with_its_error(cloud) -> None:
    answer = cloud.invoke(cloud.outputs["Broken"], {})

    assert (answer["errorType"], answer["errorMessage"]) == ("RuntimeError", "cannot be loaded")


def test_a_missing_module_is_an_import_error_as_in_aws(own, cloud) -> None:
    answer = cloud.invoke(own(Handler="nowhere.main"), {})

    assert answer["errorType"] == "Runtime.ImportModuleError"


def test_more_than_the_size_of_tmp_ends_the_function(own, cloud) -> None:
    answer = cloud.invoke(own(EphemeralStorage={"Size": 512}, MemorySize=512), {"op": "fill_tmp", "megabytes": 600})

    assert answer["errorType"] == "Runtime.ExitError"
    assert "no space left" in answer["errorMessage"]


def test_a_response_over_6_megabytes_is_refused(own, cloud) -> None:
    answer = cloud.invoke(own(MemorySize=512), {"op": "big", "bytes": 7_000_000})

    assert answer["errorType"] == "Function.ResponseSizeTooLarge"


def test_background_threads_stand_still_between_invocations(own, cloud) -> None:
    name = own()
    pid = cloud.invoke(name, {"op": "start_ticking"})["pid"]

    cloud.eventually(lambda: state_of(pid) == "T")
    time.sleep(1.5)
    answer = cloud.invoke(name, {"op": "ticks"})

    assert answer["pid"] == pid
    gaps = [after - before for before, after in zip(answer["ticks"], answer["ticks"][1:], strict=False)]
    assert max(gaps) > 1.4


def test_programs_of_a_function_stand_still_between_invocations(own, cloud) -> None:
    name = own()

    answer = cloud.invoke(name, {"op": "spawn", "detached": True})

    cloud.eventually(lambda: state_of(answer["child"]) == "T")
    again = cloud.invoke(name, {"op": "echo"})
    assert again["pid"] == answer["pid"]


def test_a_frozen_environment_answers_again_after_a_while(own, cloud) -> None:
    name = own()
    pids = set()
    for pause in (0.2, 1.0, 2.0):
        pids.add(cloud.invoke(name, {"op": "echo"})["pid"])
        time.sleep(pause)

    assert len(pids) == 1


def test_lines_that_a_function_prints_are_in_its_log_group_and_file_while_it_runs(own, cloud) -> None:
    name = own()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(cloud.invoke, name, {"op": "say", "line": "half way", "seconds": 3})

        def lines():
            try:
                return [
                    event["message"]
                    for event in cloud.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
                ]
            except cloud.client("logs").exceptions.ResourceNotFoundException:
                return []

        cloud.eventually(lambda: "half way" in lines())
        assert not running.done()
        running.result()

    assert any(line.startswith("REPORT") and "Max Memory Used" in line for line in lines())
    file = Path(cloud.endpoint.directory, "logs", f"{name}.log")
    assert "half way" in file.read_text()


def test_new_code_is_used_by_the_next_invocation_and_the_old_environment_ends(cloud, tmp_path) -> None:
    template = json.loads(json.dumps({"Resources": {}, "Outputs": {"Function": {"Value": {"Ref": "Function"}}}}))
    role_of = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}

    def function(word):
        properties = {
            "Code": {"ZipFile": f"import os\ndef main(event, context):\n    return ['{word}', os.getpid()]\n"},
            "Handler": "index.main",
            "Runtime": cloud.runtime,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        }
        return {"Role": role_of, "Function": {"Type": "AWS::Lambda::Function", "Properties": properties}}

    template["Resources"] = function("old")
    name = cloud.deploy(tmp_path / "a", template, "renewed")["Function"]
    old, old_pid = cloud.invoke(name, {})

    template["Resources"] = function("new")
    cloud.deploy(tmp_path / "b", template, "renewed")
    new, _ = cloud.invoke(name, {})

    assert (old, new) == ("old", "new")
    cloud.eventually(lambda: not alive(old_pid))


def test_reserved_concurrency_throttles(own, cloud) -> None:
    name = own(ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(cloud.invoke, name, {"op": "sleep", "seconds": 2})
        time.sleep(1)

        with pytest.raises(cloud.client("lambda").exceptions.TooManyRequestsException):
            cloud.invoke(name, {"op": "echo"})
        running.result()


def test_a_killed_environment_is_replaced(own, cloud) -> None:
    name = own()
    first = cloud.invoke(name, {"op": "echo"})["pid"]

    os.kill(first, signal.SIGKILL)
    cloud.eventually(lambda: not alive(first))
    second = cloud.invoke(name, {"op": "echo"})["pid"]

    assert first != second
