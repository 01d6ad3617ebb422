"""How RDS names the same things for instances and for clusters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """
    The words of one kind of snapshots, in botocore's documents and method names.

    *encrypted* and *origin* (the snapshot that one was copied from) are keys of a snapshot's document, *quota* is the
    name of its limit among those of the account.
    """

    snapshot: str
    source: str
    call: str
    encrypted: str
    origin: str
    quota: str


OF_INSTANCES = Kind(
    "DBSnapshot", "DBInstance", "db_snapshot", "Encrypted", "SourceDBSnapshotIdentifier", "ManualSnapshots"
)
OF_CLUSTERS = Kind(
    "DBClusterSnapshot",
    "DBCluster",
    "db_cluster_snapshot",
    "StorageEncrypted",
    "SourceDBClusterSnapshotArn",
    "ManualClusterSnapshots",
)
