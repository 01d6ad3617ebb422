"""The errors of RDS's API."""

from __future__ import annotations


class Refused(Exception):
    """An error by its *code*, as botocore's model names it, and a *message*."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def missing(kind: str, identifier: str) -> Refused:
    """Return the error about a thing that is not there; *kind* as in `DBInstance`."""
    codes = {
        "DBInstance": "DBInstanceNotFound",
        "DBSnapshot": "DBSnapshotNotFound",
        "DBCluster": "DBClusterNotFoundFault",
        "DBClusterSnapshot": "DBClusterSnapshotNotFoundFault",
    }
    return Refused(codes[kind], f"{kind} {identifier} not found.", status=404)


def taken(kind: str, identifier: str) -> Refused:
    """Return the error about a name that is taken."""
    codes = {
        "DBInstance": "DBInstanceAlreadyExists",
        "DBSnapshot": "DBSnapshotAlreadyExists",
        "DBCluster": "DBClusterAlreadyExistsFault",
        "DBClusterSnapshot": "DBClusterSnapshotAlreadyExistsFault",
    }
    return Refused(codes[kind], f"{kind} {identifier} already exists.")


def wrong_state(kind: str, identifier: str, state: str) -> Refused:
    """Return the error about a thing that is not in the state for what was asked."""
    codes = {
        "DBInstance": "InvalidDBInstanceState",
        "DBSnapshot": "InvalidDBSnapshotState",
        "DBCluster": "InvalidDBClusterStateFault",
        "DBClusterSnapshot": "InvalidDBClusterSnapshotStateFault",
    }
    return Refused(codes[kind], f"{kind} {identifier} is not in available state: it is {state}.")
