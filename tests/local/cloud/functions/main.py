"""Functions that the tests of the local cloud deploy: each operation shows one property of the platform."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
from botocore.config import Config

COLD = [True]
TICKS: list[float] = []


class SourceBusy(Exception):
    """A class of our own, whose name a state machine matches."""


def client(service: str):
    return boto3.client(service, config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))


def main(event, context):
    return OPERATIONS[event.get("op", "echo")](event, context)


def echo(event, context):
    return {"echo": event, "pid": os.getpid()}


def about(event, context):
    cold = COLD[0]
    COLD[0] = False
    return {
        "cold": cold,
        "pid": os.getpid(),
        "name": context.function_name,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "remaining": context.get_remaining_time_in_millis(),
        "env": dict(os.environ),
        "path": sys.path,
    }


def fail(event, context):
    raise SourceBusy(event.get("message", "the source is busy"))


def fail_if(event, context):
    if event["value"] == event.get("bad", "bad"):
        raise SourceBusy(f"item {event['value']}")
    return {"done": event["value"]}


def flaky(event, context):
    key = f"flaky/{event['key']}"
    s3 = client("s3")
    found = s3.list_objects_v2(Bucket=event["bucket"], Prefix=key).get("KeyCount", 0)
    s3.put_object(Bucket=event["bucket"], Key=f"{key}/{found}", Body=b"")
    if found + 1 < event["succeed_at"]:
        raise SourceBusy(f"attempt {found + 1}")
    return {"attempts": found + 1}


def sleep(event, context):
    time.sleep(event["seconds"])
    return {"slept": event["seconds"]}


def say(event, context):
    print(event["line"], flush=True)
    time.sleep(event["seconds"])


def big(event, context):
    return "x" * event["bytes"]


def exit_now(event, context):
    os._exit(3)


def grow(event, context):
    hold = []
    while True:
        hold.append(bytearray(8 << 20))
        time.sleep(0.01)


def grow_child(event, context):
    program = "import time\nx=[]\nwhile True:\n x.append(bytearray(8<<20)); time.sleep(0.01)"
    return subprocess.run([sys.executable, "-S", "-c", program], check=False).returncode


def fill_tmp(event, context):
    with (Path(os.environ["TMPDIR"]) / "big").open("wb") as file:
        for _ in range(event["megabytes"]):
            file.write(os.urandom(1 << 20))
            file.flush()
    time.sleep(5)
    return "written"


def spawn(event, context):
    child = subprocess.Popen(["sleep", "600"], start_new_session=event.get("detached", False))
    if event.get("then") == "hang":
        time.sleep(600)
    return {"child": child.pid, "pid": os.getpid()}


def start_ticking(event, context):
    def tick():
        while True:
            TICKS.append(time.time())
            time.sleep(0.02)

    threading.Thread(target=tick, daemon=True).start()
    time.sleep(0.2)
    return {"pid": os.getpid()}


def ticks(event, context):
    time.sleep(0.1)
    return {"ticks": TICKS, "pid": os.getpid()}


def answer_token(event, context):
    """Answer the task's token after a while, with heartbeats in between, as the holder of a snapshot does."""
    states = client("stepfunctions")
    for _ in range(event.get("beats", 0)):
        time.sleep(event.get("beat", 0.3))
        states.send_task_heartbeat(taskToken=event["token"])
    time.sleep(event.get("after", 0))
    if event.get("fail"):
        states.send_task_failure(taskToken=event["token"], error=event["fail"], cause="told to")
    else:
        states.send_task_success(taskToken=event["token"], output=json.dumps({"answer": event.get("value")}))
    time.sleep(event.get("linger", 0))
    return {}


def keep_token(event, context):
    client("s3").put_object(Bucket=event["bucket"], Key=event["key"], Body=event["token"].encode())
    return {}


def put(event, context):
    answer = client("s3").put_object(Bucket=event["bucket"], Key=event["key"], Body=event.get("body", "x").encode())
    return {"version": answer.get("VersionId")}


def call(event, context):
    """Call any operation of any service and tell the result or the error's code."""
    parameters = json.loads(json.dumps(event.get("parameters", {})))
    for name in event.get("bytes", []):
        parameters[name] = parameters[name].encode()
    try:
        answer = getattr(client(event["service"]), event["operation"])(**parameters)
    except Exception as error:  # noqa: BLE001
        code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
        return {"error": code, "message": str(error)}
    answer.pop("ResponseMetadata", None)
    return json.loads(json.dumps(answer, default=lambda value: value.hex() if isinstance(value, bytes) else str(value)))


def emit_metric(event, context):
    print(
        json.dumps(
            {
                "_aws": {
                    "Timestamp": int(time.time() * 1000),
                    "CloudWatchMetrics": [
                        {
                            "Namespace": "Holdfast/Test",
                            "Dimensions": [["Database"]],
                            "Metrics": [{"Name": "BackupAge", "Unit": "Seconds"}],
                        }
                    ],
                },
                "Database": "orders",
                "BackupAge": event["value"],
            }
        )
    )
    return {}


def run_tool(event, context):
    """Run the layer's program, found by PATH, and import the layer's module."""
    import layered

    found = subprocess.run(["holdfast-tool"], capture_output=True, text=True, check=True)
    return {"output": found.stdout.strip(), "module": layered.NAME}


OPERATIONS = {
    name: function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__module__", None) == __name__ and name not in ("main", "client")
}
