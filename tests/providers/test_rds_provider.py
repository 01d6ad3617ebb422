"""What is RDS's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.providers.worlds import REGION, RdsWorld, available

from holdfast.adapters.aws.rds.saying import server_progress, snapshot_progress
from holdfast.errors import ProviderBusy, UnexpectedState
from holdfast.ports.providers import Progress


@pytest.fixture
def rds(tmp_path: Path) -> Iterator[RdsWorld]:
    with RdsWorld(tmp_path / "twin") as world:
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
    assert found["StorageEncrypted"]


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
    with pytest.raises(ProviderBusy, match="Automated"):
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
