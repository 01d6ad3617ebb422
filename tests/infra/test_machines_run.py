"""
The state machines, run: the synthesised template in the local cloud, with stand-ins for the functions.

What is shown is the wiring: which function is called with what, what a failure of each kind leads to, and that the
machines' own roles suffice. Roles are enforced.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from holdfast.configuration import load
from holdfast_infra.inventory import ONCE, PER_NETWORK
from holdfast_local.cloud import lifecycle

from .conftest import small_layers
from .running import REGION, Cloud, copy_sdk

pytestmark = pytest.mark.xdist_group("machines")

HERE = Path(__file__).parent
DATABASES = ("shop", "pooled", "torn", "busy", "slow", "empty", "rotten", "plain", "wrong", "migrated", "crowded")
DATABASES += ("cold", "melting", "icy", "twice")
CONFIGURATION = f'[holdfast]\nname = "vault"\nregion = "{REGION}"\n' + "".join(
    f'[databases.{name}]\nprovider = "postgres"\n' for name in DATABASES
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Deploy the template with stand-ins for the functions; stop everything at the end."""
    from holdfast_infra import app, function

    place = tmp_path_factory.mktemp("machines")
    for plan in (*PER_NETWORK, *ONCE):
        folder = place / "functions" / plan.capability
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "stub.py", folder / f"{plan.name}.py")
    layers = small_layers(place / "layers")
    copy_sdk(layers["dependencies"])
    (place / "holdfast.toml").write_text(CONFIGURATION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, "FUNCTIONS", place / "functions")
        app.synthesise(load(place / "holdfast.toml"), target="host", output=place / "out", build=lambda _: layers)
    outputs: dict[str, str] = {}
    state = place / "state"
    try:
        endpoint = lifecycle.up(place / "out", state, region=REGION, report=lambda one: outputs.update(one.outputs))
        yield Cloud(endpoint.url, outputs)
    finally:
        lifecycle.down(state)


def test_a_backup_copies_seals_and_verifies(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "shop", "tier": "daily"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output["point"]["rows"] == 2
    assert ended.output["verification"]["intact"] is True


def test_a_backup_of_nothing_succeeds(cloud: Cloud) -> None:
    assert cloud.run("BackupMachineInternet", {"database": "empty"}).status == "SUCCEEDED"


def test_holders_relay_while_the_copy_lasts(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "slow"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert int(cloud.note(f"slow-{ended.name}/generation")) >= 2
    assert "Snapshot released" in ended.entered()


@pytest.mark.parametrize("database", ["cold", "icy"])
def test_a_frozen_copy_is_made_backed_up_and_removed_before_the_verification(cloud: Cloud, database: str) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": database})

    assert ended.status == "SUCCEEDED", ended.cause
    assert cloud.note(f"{database}-{ended.name}/thawed") == "yes"
    states = ended.entered()
    copying = len(states) - 1 - states[::-1].index("Copy under one snapshot")
    assert states.index("Wait for the frozen copy") < copying < states.index("Remove the frozen copy")
    assert states.index("Remove the frozen copy") < states.index("Verify the copy")
    assert states.count("Copy under one snapshot") == (4 if database == "icy" else 1)


def test_a_schedule_that_is_delivered_twice_ends_well_at_once(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "twice"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output["point"]["database"] == "twice"
    assert ended.entered()[-1] == "Another delivery makes the point"


def test_a_copy_that_fails_is_removed_too(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "melting"})

    assert (ended.error, ended.status) == ("ArchiveDamaged", "FAILED")
    assert cloud.note(f"melting-{ended.name}/thawed") == "yes"


def test_a_capture_is_looked_at_until_it_is_done(cloud: Cloud) -> None:
    ended = cloud.run("CaptureMachine", {"database": "shop", "tier": "daily"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output["point"]["done"] is True
    assert ended.entered().count("Capture the point") == 2


def test_a_capture_that_does_not_count_fails_its_point_with_the_reason(cloud: Cloud) -> None:
    ended = cloud.run("CaptureMachine", {"database": "wrong", "tier": "daily"})

    assert ended.error == "ArchiveDamaged"
    assert ended.entered()[-2:] == ["Fail the point", "Capture failed"]


def test_a_sweep_says_whose_copies_it_could_not_see(cloud: Cloud) -> None:
    assert cloud.run("SweepMachine", {}).status == "SUCCEEDED"

    ended = cloud.run("SweepMachine", {"scheduled_at": "trouble"})
    assert (ended.status, ended.cause) == ("FAILED", "shop: Neon does not answer.")


def test_a_backup_that_gave_way_begins_anew_with_the_next_attempt(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "migrated"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.entered().count("Copy under one snapshot") == 2
    assert cloud.objects(f"backup/migrated-{ended.name}/2/dump/items.json") == {"items.json"}


def test_a_backup_that_gave_way_each_time_fails_with_its_own_error(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "crowded"})

    assert (ended.status, ended.error, ended.cause) == ("FAILED", "BackupYielded", "Attempt 3 gave way.")
    assert ended.entered().count("Let the others go first") == 2
    assert json.loads(cloud.note(f"crowded-{ended.name}")) == ["BackupYielded", "Attempt 3 gave way."]


def test_a_transient_error_of_a_batch_is_retried(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "busy"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert cloud.objects(f"backup/busy-{ended.name}/tried") == {"tried"}


def test_the_batch_that_fails_first_fails_the_backup_and_its_point_with_its_own_error(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "torn"})

    assert (ended.status, ended.error) == ("FAILED", "ArchiveDamaged")
    assert json.loads(ended.cause)["errorMessage"] == 'Somebody wrote "no"\nover chunk 2.'
    assert json.loads(cloud.note(f"torn-{ended.name}")) == [ended.error, ended.cause]


def test_a_refused_source_fails_the_backup_before_it_has_a_point(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "pooled"})

    assert (ended.status, ended.error) == ("FAILED", "PooledEndpoint")
    assert "Copy under one snapshot" not in ended.entered()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="a person's"),
        pytest.param({"tier": "daily"}, id="a person's with a tier"),
        pytest.param({"tier": "hourly", "scheduled_at": "2026-01-31T02:30:00Z"}, id="an hourly one"),
    ],
)
def test_a_run_that_may_not_wait_learns_at_once_that_another_runs(cloud: Cloud, given: dict[str, str]) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "taken", **given})

    assert (ended.status, ended.error) == ("FAILED", "BackupAlreadyRunning")
    assert "Wait for the other backup" not in ended.entered()


@pytest.mark.parametrize("tier", ["daily", "weekly", "monthly"])
def test_a_scheduled_run_waits_its_turn(cloud: Cloud, tier: str) -> None:
    given = {"database": "taken", "tier": tier, "scheduled_at": "2026-02-01T03:00:00Z"}

    assert cloud.waits("BackupMachineInternet", given, "Wait for the other backup")


def test_every_run_waits_for_a_collection(cloud: Cloud) -> None:
    assert cloud.waits("BackupMachineInternet", {"database": "collected"}, "Wait for the other backup")


@pytest.mark.parametrize("machine", ["CollectMachine", "PruneMachine"])
def test_a_collection_or_pruning_goes_on_until_it_is_finished(cloud: Cloud, machine: str) -> None:
    ended = cloud.run(machine, {"database": "shop"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output == {"database": "shop", "run": ended.name, "finished": True, "rounds": 3}


def test_a_catalogue_is_made_anew_in_as_many_invocations_as_it_takes(cloud: Cloud) -> None:
    ended = cloud.run("RebuildMachine", {"database": "shop"})

    assert ended.status == "SUCCEEDED", ended.cause
    left = [{"point": "shop-2", "reason": "It is damaged."}]
    assert ended.output == {"database": "shop", "intact": ["shop-1"], "captured": [], "known": 1, "left_out": left}


def test_a_persons_collection_ends_where_a_backup_runs_and_a_scheduled_one_waits(cloud: Cloud) -> None:
    ended = cloud.run("CollectMachine", {"database": "taken"})

    assert (ended.status, ended.error) == ("FAILED", "BackupAlreadyRunning")
    given = {"database": "taken", "scheduled_at": "2026-02-01T03:00:00Z"}
    assert cloud.waits("CollectMachine", given, "Wait for the other run")


def test_the_role_that_collects_removes_versions_of_chunks_only_and_no_locked_one(cloud: Cloud) -> None:
    s3, bucket, key = cloud.client("s3"), cloud.outputs["ArchiveBucket"], "shop/chunks/cd/cdef.zst"
    locked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"rows", **locked)["VersionId"]
    manifest = s3.put_object(Bucket=bucket, Key="shop/points/p/m.json", Body=b"{}")["VersionId"]
    collecting = cloud.client_of("vault-retention-collect", "s3")

    collecting.list_object_versions(Bucket=bucket, Prefix="shop/chunks/")

    answer = collecting.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key, "VersionId": version}]})
    assert [one["Code"] for one in answer["Errors"]] == ["AccessDenied"]
    for refused in ({"Key": key, "BypassGovernanceRetention": True}, {"Key": "shop/points/p/m.json"}):
        of = manifest if "points" in str(refused["Key"]) else version
        with pytest.raises(ClientError, match="AccessDenied"):
            collecting.delete_object(Bucket=bucket, VersionId=of, **refused)


def test_a_backup_whose_bytes_cannot_be_read_back_fails_with_the_damage(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {"database": "rotten"})

    assert (ended.status, ended.error) == ("FAILED", "ArchiveDamaged")
    assert ended.cause == "Chunk 1 is not what the manifest says."
    assert json.loads(cloud.note(f"rotten-{ended.name}")) == [ended.error, ended.cause]


def test_an_input_without_a_database_ends_with_an_error_and_not_in_the_middle(cloud: Cloud) -> None:
    ended = cloud.run("BackupMachineInternet", {})

    assert (ended.status, ended.error) == ("FAILED", "KeyError")
    assert ended.entered()[-1] == "Backup failed"


def test_a_restore_does_every_stage_in_order_and_ends_proven(cloud: Cloud) -> None:
    ended = cloud.run("RestoreMachineInternet", {"database": "shop", "into": "shop_restored"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output["proof"]["proven"] is True
    assert cloud.objects(f"restore/shop-{ended.name}/did/") == {
        *(f"load-{number}" for number in range(3)),
        *(f"{stage}-{number}" for stage in ("sequences", "indexes") for number in range(2)),
        "prove-0",
    }
    states = ended.entered()
    assert states.count("Prepare the target") == 3
    assert states.count("Finish one stage") == 2
    assert states.index("Load the rows") < states.index("Finish one stage") < states.index("Prove the rows")


def test_a_restore_with_nothing_to_finish_goes_on_to_the_proof(cloud: Cloud) -> None:
    ended = cloud.run("RestoreMachineInternet", {"database": "plain", "into": "x"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert "Finish one stage" not in ended.entered()


def test_a_restore_of_which_only_the_plan_is_wanted_ends_with_it(cloud: Cloud) -> None:
    ended = cloud.run("RestoreMachineInternet", {"database": "shop", "into": "x", "plan_only": True})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output["plan"]["key"] == f"restore/shop-{ended.name}/plan.json"
    assert ended.entered()[-1] == "Restore planned"
    assert "Prepare the target" not in ended.entered()


@pytest.mark.parametrize(
    ("database", "error", "cause"),
    [
        pytest.param("rotten", "RestoreNotProven", "public.orders differs.", id="a difference"),
        pytest.param("wrong", "ValidationFailed", "No users. No orders.", id="failed checks"),
    ],
)
def test_a_restore_that_is_not_right_fails_and_reports_why(cloud: Cloud, database: str, error: str, cause: str) -> None:
    ended = cloud.run("RestoreMachineInternet", {"database": database, "into": "x"})

    assert (ended.status, ended.error, ended.cause) == ("FAILED", error, cause)
    assert json.loads(cloud.note(f"{database}-{ended.name}")) == [error, cause]


def test_a_batch_that_fails_fails_the_restore_and_its_report_with_its_own_error(cloud: Cloud) -> None:
    ended = cloud.run("RestoreMachineInternet", {"database": "torn", "into": "x"})

    assert (ended.status, ended.error) == ("FAILED", "ArchiveDamaged")
    assert json.loads(ended.cause)["errorMessage"] == "The index is damaged."
    assert json.loads(cloud.note(f"torn-{ended.name}"))[0] == "ArchiveDamaged"


def test_a_point_is_verified_by_itself(cloud: Cloud) -> None:
    ended = cloud.run("VerifyMachine", {"database": "shop", "point_id": "shop-1"})

    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output["reason"] == "Every byte is as it was."


def test_the_role_that_withdraws_a_chunk_hides_it_and_removes_nothing(cloud: Cloud) -> None:
    s3, bucket, key = cloud.client("s3"), cloud.outputs["ArchiveBucket"], "shop/chunks/ab/abcd.zst"
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"torn")["VersionId"]
    s3.put_object(Bucket=bucket, Key="shop/points/p/manifest.json", Body=b"{}")
    checking = cloud.client_of("vault-verify-check", "s3")

    checking.delete_object(Bucket=bucket, Key=key)

    assert s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read() == b"torn"
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=bucket, Key=key)
    for refused in ({"Key": key, "VersionId": version}, {"Key": "shop/points/p/manifest.json"}):
        with pytest.raises(ClientError, match="AccessDenied"):
            checking.delete_object(Bucket=bucket, **refused)
