"""
What stands in for every function when the state machines are run: a few lines that obey the contracts.

The name of the database chooses what goes wrong. It runs in a function's process: standard library and boto3 only.
"""

import json
import os
import time

import boto3

SLOW_HOLD_SECONDS = 1.5


class DatabaseBusy(Exception):
    """The transient error of the same name."""


class ArchiveDamaged(Exception):
    """The permanent error of the same name."""


class BackupAlreadyRunning(Exception):
    """The permanent error of the same name."""


class CollectionRunning(Exception):
    """The permanent error of the same name."""


class PooledEndpoint(Exception):
    """The permanent error of the same name."""


def handler(event, context):
    """Do what the function of this name would, as far as the machines can see."""
    return globals()[os.environ["POWERTOOLS_SERVICE_NAME"].replace(".", "_")](event)


def _items(run, stage, count):
    bucket, key = os.environ["HOLDFAST_SCRATCH_BUCKET"], f"{run}/{stage}/items.json"
    body = json.dumps([{"batch": number, "plan": "a plan"} for number in range(count)])
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())
    return {"bucket": bucket, "key": key, "count": count, "bytes": 0}


def _note(name, value):
    table = os.environ["HOLDFAST_CATALOGUE_TABLE"]
    item = {"pk": {"S": name}, "sk": {"S": "note"}, "value": {"S": value}}
    boto3.client("dynamodb").put_item(TableName=table, Item=item)


def _noted(name):
    table = os.environ["HOLDFAST_CATALOGUE_TABLE"]
    key = {"pk": {"S": name}, "sk": {"S": "note"}}
    found = boto3.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return found and found["value"]["S"]


def snapshot_start(event):
    if event["database"] == "pooled":
        raise PooledEndpoint("This is a pooler.")
    if event["database"] == "taken":
        raise BackupAlreadyRunning("A backup of taken is running already.")
    if event["database"] == "collected":
        raise CollectionRunning("Unneeded chunks of collected are being collected.")
    run = event["execution"].rpartition(":")[2]
    point = {
        "database": event["database"],
        "point_id": f"{event['database']}-{run}",
        "tier": event.get("tier", "manual"),
    }
    attempt = int(_noted(f"{point['point_id']}/yields") or 0) + 1
    frozen = bool(_noted(f"{point['point_id']}/frozen"))
    return {
        **point,
        "concurrency": 2,
        "attempt": attempt,
        "pause_seconds": 1 if attempt < 3 and not frozen else 0,
        "taken": event["database"] == "twice",
        "freeze": event["database"] in {"cold", "melting"} and not frozen,
        "may_freeze": event["database"] == "icy" and not frozen,
    }


def snapshot_freeze(event):
    if event["database"] == "melting":
        raise ArchiveDamaged("The provider lost the copy.")
    begun = bool(_noted(f"{event['point_id']}/begun"))
    _note(f"{event['point_id']}/{'frozen' if begun else 'begun'}", "yes")
    return {**event, "ready": begun, "wait_seconds": 0 if begun else 1, "sentence": ""}


def snapshot_thaw(event):
    _note(f"{event['point_id']}/thawed", "yes")
    return {**event, "removed": ["a copy"]}


def retention_sweep(event):
    failed = ["shop: Neon does not answer."] if event.get("scheduled_at") == "trouble" else []
    return {"copies": [], "secrets": [], "failed": failed}


def snapshot_capture(event):
    if event["database"] == "wrong":
        raise ArchiveDamaged("The snapshot does not count.")
    begun = bool(_noted(event["execution"]))
    _note(event["execution"], "begun")
    answer = {"database": event["database"], "point_id": "a point", "done": begun, "first": begun, "elsewhere": False}
    return {**answer, "wait_seconds": 0 if begun else 1, "sentence": ""}


def snapshot_abandon(event):
    _note(f"{event['execution']}/abandoned", json.dumps([event["error"], event["cause"]]))
    return {"database": event["database"], "point_id": "a point", "reason": event["cause"]}


def snapshot_hold(event):
    machine, token = boto3.client("stepfunctions"), event["task_token"]
    crowded = event["database"] == "crowded" or (event["database"] == "icy" and event["attempt"] < 4)
    if crowded or (event["database"] == "migrated" and event["attempt"] == 1):
        _note(f"{event['point_id']}/yields", str(event["attempt"]))
        machine.send_task_failure(taskToken=token, error="BackupYielded", cause=f"Attempt {event['attempt']} gave way.")
        return
    _note(f"{event['point_id']}/generation", str(event["generation"]))
    limit = time.monotonic() + SLOW_HOLD_SECONDS
    while time.monotonic() < limit and not _noted(event["point_id"]):
        machine.send_task_heartbeat(taskToken=token)
        time.sleep(0.1)
    answer = {"released": bool(_noted(event["point_id"])), "generation": event["generation"]}
    machine.send_task_success(taskToken=token, output=json.dumps(answer))


def snapshot_plan(event):
    items = _items(f"backup/{event['point_id']}/{event['attempt']}", "dump", 0 if event["database"] == "empty" else 4)
    return {"database": event["database"], "point_id": event["point_id"], "items": items}


def snapshot_dump(event):
    if event["database"] == "torn" and event["batch"] == 2:
        # Another batch fails from it, and notes that later.
        key = f"backup/{event['point_id']}/{event['attempt']}/dump/faults/9999-12-31T23:59:59.999Z.json"
        late = json.dumps({"Error": "DatabaseBusy", "Cause": "A consequence."}).encode()
        boto3.client("s3").put_object(Bucket=os.environ["HOLDFAST_SCRATCH_BUCKET"], Key=key, Body=late)
        raise ArchiveDamaged('Somebody wrote "no"\nover chunk 2.')
    if event["database"] == "busy" and event["batch"] == 1:
        bucket, key = os.environ["HOLDFAST_SCRATCH_BUCKET"], f"backup/{event['point_id']}/tried"
        s3 = boto3.client("s3")
        if "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix=key):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
            raise DatabaseBusy("A lock was not granted.")
    if event["database"] == "slow":
        time.sleep(SLOW_HOLD_SECONDS)
    return {}


def snapshot_seal(event):
    _note(event["point_id"], "sealed")
    return {"database": event["database"], "point_id": event["point_id"], "tables": 1, "rows": 2}


def snapshot_fail(event):
    reason = json.dumps([event["error"], event["cause"]])
    _note(event["point_id"] or event["execution"], reason)
    return {"database": event["database"], "point_id": event["point_id"], "reason": event["cause"]}


def verify_plan(event):
    return {**event, "items": _items(f"verify/{event['run']}", "check", 2)}


def verify_check(event):
    return {}


def verify_conclude(event):
    intact = event["database"] != "rotten"
    reason = "Every byte is as it was." if intact else "Chunk 1 is not what the manifest says."
    found = {"database": event["database"], "point_id": event["point_id"], "intact": intact, "reason": reason}
    return {**found, "chunks": 2, "bytes_plain": 3}


def retention_collect(event):
    if event["database"] == "taken":
        raise BackupAlreadyRunning("A backup of taken is running already.")
    rounds = int(_noted(event["execution"]) or 0) + 1
    _note(event["execution"], str(rounds))
    return {"database": event["database"], "run": event["run"], "finished": rounds == 3, "rounds": rounds}


def retention_prune(event):
    return retention_collect(event)


def retention_protect(event):
    return retention_collect(event)


def monitor_replication(event):
    return {"database": event["database"], "waiting": 0}


def catalogue_rebuild(event):
    """Two invocations: the first finds a point, the second leaves one out."""
    left = {"point": "shop-2", "reason": "It is damaged."}
    if event["after"]:
        return {
            "database": event["database"],
            "intact": [],
            "captured": [],
            "known": 1,
            "left_out": [left],
            "after": "",
        }
    return {
        "database": event["database"],
        "intact": ["shop-1"],
        "captured": [],
        "known": 0,
        "left_out": [],
        "after": "k",
    }


def restore_assess(event):
    run = f"{event['database']}-{event['execution'].rpartition(':')[2]}"
    stages = [{"name": name, "items": _items(f"restore/{run}", name, 2)} for name in ("sequences", "indexes")]
    return {
        "restore_id": run,
        "database": event["database"],
        "point_id": "point",
        "into": event["into"],
        "concurrency": 2,
        "load": _items(f"restore/{run}", "load", 3),
        "prove": _items(f"restore/{run}", "prove", 1),
        "slices_before": 2,
        "finish": [] if event["database"] == "plain" else stages,
        "plan_only": event.get("plan_only", False),
    }


def restore_prepare(event):
    return {"restore_id": event["restore_id"], "slice": event["slice"] + 1, "done": event["slice"] == 2}


def _batch(event):
    bucket, run = os.environ["HOLDFAST_SCRATCH_BUCKET"], f"restore/{event['restore_id']}"
    key = f"{run}/did/{event['stage']}-{event['batch']}"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"")
    if event["restore_id"].startswith("torn") and event["stage"] == "indexes":
        raise ArchiveDamaged("The index is damaged.")
    return {}


restore_load = restore_finish = restore_prove = _batch


def restore_compare(event):
    proven = not event["restore_id"].startswith("rotten")
    reason = "All rows are equal." if proven else "public.orders differs."
    return {"restore_id": event["restore_id"], "proven": proven, "reason": reason, "tables": 1, "rows": 2}


def restore_validate(event):
    passed = not event["restore_id"].startswith("wrong")
    failures = [] if passed else ["No users.", "No orders."]
    return {"restore_id": event["restore_id"], "passed": passed, "checks": 2, "failures": failures}


def restore_report(event):
    error = event.get("error", "")
    _note(event["restore_id"] or event["execution"], json.dumps([error, event.get("cause", "")]))
    return {"restore_id": event["restore_id"], "succeeded": not error, "sentence": "It ended.", "bucket": "", "key": ""}
