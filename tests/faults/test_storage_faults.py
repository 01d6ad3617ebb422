"""
Every call of a backup, a verification and a collection fails once: loudly, and the repetition converges.

The adapters and botocore are real, the AWS is in memory, the source is a real server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from faults.injecting import KINDS, Kind, Rotating, swept
from holdfast.adapters.aws import (
    Clients,
    DynamoHolds,
    DynamoPoints,
    KmsDigestKeys,
    S3Archive,
    S3Scratch,
    S3Versions,
)
from holdfast.contracts.backup import BackupRequest, DumpRequest
from holdfast.contracts.retention import CollectRequest
from holdfast.contracts.verify import CheckRequest, VerifyRequest
from holdfast.model.points import PointState, Tier
from holdfast.usecases.retention.collect import Collection
from holdfast.usecases.snapshot.start import start_backup
from holdfast.usecases.verify.check import check_batch
from holdfast.usecases.verify.plan import plan_verification
from snapshot.rig import DATABASE, Rig, now


@dataclass(frozen=True)
class Faulty:
    """A rig whose calls are made to fail, and one over the same AWS whose calls are left alone, for the holder."""

    rig: Rig
    steady: Rig
    clients: Clients


@pytest.fixture
def faulty(small: Rig, clients: Clients) -> Faulty:
    """Return rigs over the real adapters, but for the signature, which the AWS in memory makes wrong."""
    key = clients.kms.create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")["KeyMetadata"]["Arn"]

    def rig(of: Clients) -> Rig:
        ports: dict[str, Any] = {
            "archive": S3Archive(of.s3, "archive", sleep=lambda _: None),
            "scratch": S3Scratch(of.s3, "scratch"),
            "points": DynamoPoints(of.dynamodb, "catalogue"),
            "holds": DynamoHolds(of.dynamodb, "catalogue"),
            "digest_keys": KmsDigestKeys(of.kms, key),
        }
        return Rig(small.parameters, **ports)

    return Faulty(rig(clients), rig(Clients()), clients)


def collected(rig: Rig, clients: Clients) -> Any:
    rig.executions.alive.add("arn:collect")
    return Collection(
        points=rig.points,
        holds=rig.holds,
        executions=rig.executions,
        archive=rig.archive,
        versions=S3Versions(clients.s3, "archive"),
        scratch=rig.scratch,
        now=now,
        seconds_left=lambda: 900,
    ).run(CollectRequest(database=DATABASE, execution="arn:collect", run="collect"))


WHOLE = tuple(kind for kind in KINDS if not kind.torn)
TORN = tuple(kind for kind in KINDS if kind.torn)


@pytest.mark.parametrize(
    ("kinds", "first"),
    [
        pytest.param(WHOLE, 0, id="one way"),
        pytest.param(WHOLE, 2, id="another"),
        pytest.param(WHOLE, 4, id="a third"),
        pytest.param(TORN, 0, id="torn bodies"),
    ],
)
def test_each_call_that_fails_is_told_and_the_repetition_converges(
    faulty: Faulty, kinds: tuple[Kind, ...], first: int
) -> None:
    rig, steady, clients = faulty.rig, faulty.steady, faulty.clients
    injector, torn = Rotating(kinds[0], kinds=kinds, first=first), kinds == TORN
    injector.install(clients)
    failed: dict[str, list[str]] = {}

    def sweep(name: str, work: Any) -> Any:
        answer, failed[name] = swept(injector, work)
        return answer

    execution = "arn:aws:states:eu-central-1:123456789012:execution:backup:one"
    steady.executions.alive.add(execution)
    wanted = BackupRequest(
        database=DATABASE, tier=Tier.MANUAL, execution=execution, execution_started_at=now().replace(microsecond=0)
    )
    ports: Any = {"points": rig.points, "holds": rig.holds, "executions": rig.executions}
    started = sweep("start", lambda: start_backup(wanted, protected=rig.protected, **ports))
    with steady.holding(started.point_id):
        planned = sweep("plan", lambda: rig.plan(started.point_id))
        items = [DumpRequest.model_validate(item) for item in _items(rig, planned.items.key)]
        for number, item in enumerate(items):
            sweep(f"dump {number}", lambda item=item: rig.dump(item))
        sealed = sweep("seal", lambda: rig.seal(started.point_id))
    request = VerifyRequest(database=DATABASE, point_id=started.point_id, run="verify")
    checks = sweep(
        "plan verification",
        lambda: plan_verification(
            request, points=rig.points, archive=rig.archive, scratch=rig.scratch, signer=rig.signer
        ),
    )
    check = CheckRequest.model_validate(_items(rig, checks.items.key)[0])
    sweep(
        "check",
        lambda: check_batch(check, archive=rig.archive, scratch=rig.scratch, digest_keys=rig.digest_keys),
    )
    verdict = sweep("conclude", lambda: rig.conclude(request))
    found = sweep("collect", lambda: collected(rig, clients))

    assert verdict.intact
    assert rig.points.get(started.point_id).state is PointState.INTACT
    assert rig.points.lock_holder(DATABASE) is None
    assert (found.pinned.versions, found.garbage.versions) == (sealed.chunks, 0)
    keys = [one["Key"] for one in clients.s3.list_object_versions(Bucket="archive")["Versions"]]
    assert len(keys) == len(set(keys)), "nothing is stored twice"
    assert "Uploads" not in clients.s3.list_multipart_uploads(Bucket="archive")
    assert all(failed.values()) or torn
    assert len([one for each in failed.values() for one in each]) >= (5 if torn else 50)


def _items(rig: Rig, key: str) -> list[dict[str, object]]:
    body = rig.scratch.read(key)
    found: list[dict[str, object]] = json.loads(body or b"[]")
    return found
