"""Passwords show up nowhere: not in outputs, logs, histories, objects, the catalogue or files."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import zstandard

from system.world import TOKENS, World

GROUPS = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("system-1", "system-2")]
VERIFIER = b"SCRAM-SHA-256$"
ZSTD = b"\x28\xb5\x2f\xfd"


def outputs(world: World) -> Iterator[tuple[str, bytes]]:
    for number, text in enumerate(world.said):
        yield f"call {number}", text.encode()


def files(world: World) -> Iterator[tuple[str, bytes]]:
    for path in (*world.state.rglob("*"), *world.directory.glob("*.toml")):
        if path.is_file() and not path.is_symlink() and not {"packages", "runtime", "bytecode"} & set(path.parts):
            yield str(path), path.read_bytes()


def logs(world: World) -> Iterator[tuple[str, bytes]]:
    client = world.system.client("logs")
    for page in client.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            for events in client.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                for event in events["events"]:
                    yield group["logGroupName"], event["message"].encode()


def histories(world: World) -> Iterator[tuple[str, bytes]]:
    client = world.system.client("stepfunctions")
    for machine in world.system.machines():
        for page in client.get_paginator("list_executions").paginate(stateMachineArn=machine):
            for execution in page["executions"]:
                arn = execution["executionArn"]
                yield arn, str(client.describe_execution(executionArn=arn)).encode()
                for events in client.get_paginator("get_execution_history").paginate(executionArn=arn):
                    yield arn, str(events["events"]).encode()


def functions(world: World) -> Iterator[tuple[str, bytes]]:
    for page in world.system.client("lambda").get_paginator("list_functions").paginate():
        for each in page["Functions"]:
            yield each["FunctionName"], str(each).encode()


def objects(world: World) -> Iterator[tuple[str, bytes]]:
    client = world.system.client("s3")
    for bucket in (world.system.output("ArchiveBucket"), world.system.output("ScratchBucket")):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", []):
                body = client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
                plain = (
                    zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read() if body[:4] == ZSTD else body
                )
                yield f"{bucket}/{each['Key']}", plain


def items(world: World) -> Iterator[tuple[str, bytes]]:
    table = world.system.output("CatalogueTable")
    for page in world.system.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield str(item["sk"]), str(item).encode()


PLACES = (outputs, files, logs, histories, functions, objects, items)


@pytest.fixture(scope="session")
def used(world: World) -> World:
    """Return the system once it has backed up, restored and failed."""
    world.backup("secrets")
    world.restore("secrets", "secrets_again")
    assert world.holdfast("--local", "backup", "wrong-password", "--wait").code == 5
    return world


@pytest.mark.parametrize("group", GROUPS)
def test_passwords_show_up_nowhere(used: World, group: str) -> None:
    found = {place.__name__: list(place(used)) for place in PLACES}

    assert all(found.values()), {name: len(texts) for name, texts in found.items()}
    leaks = {where for texts in found.values() for where, text in texts for token in TOKENS if token.encode() in text}
    assert leaks == set()
    assert [where for where, text in found["objects"] if VERIFIER in text] == []
