"""What is RDS's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.providers.worlds import ELSEWHERE, KEY_ELSEWHERE, REGION, AuroraWorld, RdsWorld, available

from holdfast.adapters.aws.rds import RdsInstance
from holdfast.adapters.aws.rds.saying import server_progress, snapshot_progress
from holdfast.errors import BadRequest, ProviderBusy, ProviderRefused, UnexpectedState
from holdfast.ports.providers import Progress
from holdfast_local.history import HollowServer


@pytest.fixture
def aurora(tmp_path: Path) -> Iterator[AuroraWorld]:
    with AuroraWorld(tmp_path / "twin", HollowServer) as world:
        yield world


@pytest.fixture
def rds(tmp_path: Path) -> Iterator[RdsWorld]:
    with RdsWorld(tmp_path / "twin", HollowServer) as world:
        yield world


def test_a_copy_has_the_sources_network_and_settings_but_no_protection(rds: RdsWorld) -> None:
    rds.provider.create_copy("frozen")
    copy = available(rds, "frozen")

    found = rds.client().describe_db_instances(DBInstanceIdentifier=copy.id)["DBInstances"][0]
    assert found["DBSubnetGroup"]["DBSubnetGroupName"] == "private"
    assert [each["VpcSecurityGroupId"] for each in found["VpcSecurityGroups"]] == ["sg-one", "sg-two"]
    assert found["DBParameterGroups"][0]["DBParameterGroupName"] == "tuned"
    assert found["DBInstanceClass"] == "db.r8g.large"
    assert {each["Key"] for each in found["TagList"]} == {"team", "holdfast:copy-of"}
    assert (found["MultiAZ"], found["DeletionProtection"], found["PubliclyAccessible"]) == (False, False, False)
    assert found["BackupRetentionPeriod"] == 0
    assert found["StorageEncrypted"]


def test_a_lasting_copy_has_the_sources_protection_zones_and_backups(rds: RdsWorld) -> None:
    copy = rds.provider.create_copy("next", lasting=True)

    found = rds.client().describe_db_instances(DBInstanceIdentifier=copy.id)["DBInstances"][0]
    assert (found["MultiAZ"], found["DeletionProtection"], found["BackupRetentionPeriod"]) == (True, True, 7)
    assert {each["Key"] for each in found["TagList"]} == {"team", "holdfast:restored-from"}


@pytest.mark.parametrize(("gigabytes", "carried"), [(100, None), (399, None), (400, 12_000)])
def test_iops_are_carried_where_rds_takes_them(rds: RdsWorld, gigabytes: int, carried: int | None) -> None:
    found = rds.twin.account.find("DBInstance", REGION, "shop").document
    found |= {"StorageType": "gp3", "Iops": 12_000, "StorageThroughput": 500, "AllocatedStorage": gigabytes}

    copy = rds.provider.create_copy("frozen")

    made = rds.twin.account.find("DBInstance", REGION, copy.id).document
    assert (made.get("Iops"), made["StorageType"]) == (carried, "gp3")


def test_a_clone_s_instance_has_the_writers_class_and_the_cluster_its_groups(aurora: AuroraWorld) -> None:
    aurora.provider.create_copy("frozen")
    copy = available(aurora, "frozen")

    (cluster,) = aurora.client().describe_db_clusters(DBClusterIdentifier=copy.id)["DBClusters"]
    (instance,) = aurora.client().describe_db_instances(DBInstanceIdentifier=f"{copy.id}-1")["DBInstances"]
    assert (cluster["DBSubnetGroup"], cluster["DBClusterParameterGroup"]) == ("private", "tuned")
    assert [each["VpcSecurityGroupId"] for each in cluster["VpcSecurityGroups"]] == ["sg-one", "sg-two"]
    assert (cluster["DeletionProtection"], instance["DBInstanceClass"]) == (False, "db.r8g.large")
    assert {each["Key"] for each in cluster["TagList"]} == {"team", "holdfast:copy-of"}


@pytest.mark.parametrize("kind", [RdsWorld, AuroraWorld])
def test_a_snapshot_is_copied_once_to_the_second_region(kind: type[RdsWorld | AuroraWorld], tmp_path: Path) -> None:
    with kind(tmp_path / "twin", HollowServer) as world:
        made = world.provider.create_snapshot("monday")
        world.settle()
        (original,) = world.provider.snapshots()

        first = world.provider.copy_snapshot(made.id)
        assert (first.progress, first.taken_at) == (Progress.CREATING, None)
        assert world.provider.copy_snapshot(made.id).id == first.id
        world.settle()

        (copy,) = world.provider.second_region_snapshots()
        assert (copy.progress, copy.encrypted, copy.manual) == (Progress.AVAILABLE, True, True)
        assert (copy.copied_from, copy.source, copy.taken_at) == (made.id, "shop", original.taken_at)
        document = world.snapshot_documents(ELSEWHERE)[0]
        assert document["KmsKeyId"] == KEY_ELSEWHERE
        assert {each["Key"] for each in document["TagList"]} == {"team", "holdfast:copy-of", "holdfast:taken-at"}

        assert world.provider.delete_second_region_snapshot(copy.id)
        assert not world.provider.delete_second_region_snapshot(copy.id)
        assert [each.id for each in world.provider.snapshots()] == [made.id]


def test_the_days_automated_snapshot_is_copied_under_a_name_of_ours(rds: RdsWorld) -> None:
    name = rds.twin.api.snapshots.take_automated(REGION, "shop")
    rds.settle()

    copy = rds.provider.copy_snapshot(name)

    assert (copy.id, copy.copied_from) == (f"holdfast-{name.replace(':', '-')}", name)


def test_a_region_that_copies_as_many_as_it_takes_is_busy(rds: RdsWorld) -> None:
    made = rds.provider.create_snapshot("monday")
    rds.settle()
    rds.twin.account.limits = replace(rds.twin.account.limits, copies_in_progress=0)

    with pytest.raises(ProviderBusy, match="across regions"):
        rds.provider.copy_snapshot(made.id)


def test_a_snapshot_is_shared_with_named_accounts_only(rds: RdsWorld) -> None:
    made = rds.provider.create_snapshot("monday")
    rds.settle()

    rds.provider.share_snapshot(made.id, ["210987654321"])
    assert rds.twin.account.find("DBSnapshot", REGION, made.id).document["_SharedWith"] == ["210987654321"]

    for wrong in ([], ["all"], ["210987654321"] * 21):
        with pytest.raises(BadRequest, match="12 digits"):
            rds.provider.share_snapshot(made.id, wrong)


def test_a_database_without_a_second_region_says_so(rds: RdsWorld) -> None:
    alone = RdsInstance(rds.client(), "shop")

    assert (alone.capabilities.second_region, alone.second_region_snapshots()) == (False, ())
    with pytest.raises(ProviderRefused, match="no second region"):
        alone.copy_snapshot("holdfast-monday")


def test_an_instance_that_bears_our_prefix_but_not_our_tag_is_not_ours(rds: RdsWorld) -> None:
    rds.client().create_db_instance(
        DBInstanceIdentifier="holdfast-of-somebody", DBInstanceClass="c", Engine="postgres", MasterUsername="m"
    )
    assert rds.provider.copies() == ()


def test_automated_snapshots_are_told_apart_and_never_deleted(rds: RdsWorld) -> None:
    name = rds.twin.api.snapshots.take_automated(REGION, "shop")
    rds.settle()

    (snapshot,) = rds.provider.snapshots()
    assert (snapshot.id, snapshot.manual, snapshot.progress) == (name, False, Progress.AVAILABLE)
    with pytest.raises(ProviderRefused, match="not one of Holdfast's"):
        rds.provider.delete_snapshot(name)


def test_an_instance_that_is_not_available_is_busy(rds: RdsWorld) -> None:
    rds.twin.account.stuck = True
    rds.client().modify_db_instance(DBInstanceIdentifier="shop", BackupRetentionPeriod=8)
    with pytest.raises(ProviderBusy, match="not in available state"):
        rds.provider.create_snapshot("now")
    rds.twin.account.stuck = False


def test_unknown_states_are_errors() -> None:
    with pytest.raises(UnexpectedState, match="daydreaming"):
        server_progress("daydreaming")
    with pytest.raises(UnexpectedState, match="daydreaming"):
        snapshot_progress("daydreaming")
