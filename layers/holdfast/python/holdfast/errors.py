"""
Every error that Holdfast raises, as one tree.

The class names are the vocabulary of the state machines: `ErrorEquals` in the ASL files names them.
A transient error may succeed when the same call is made again; a permanent one will not.

    HoldfastError
    ├── Transient                  the state machine retries these
    │   ├── DatabaseBusy           lock not granted in time, too many connections, recovery conflict
    │   ├── DatabaseUnreachable    refused, reset, timed out, shutting down
    │   ├── ProviderBusy           the provider takes no further change for now
    │   ├── ProviderUnreachable    the provider's API did not answer, or broke
    │   ├── SnapshotNotReady       the holder has not published a snapshot yet, or hands it on just now
    │   ├── StillWorking           the work goes well, but longer than one invocation may last
    │   └── StorageThrottled       S3, DynamoDB or KMS asked us to slow down
    └── Permanent                  the state machine does not retry these
        ├── BadRequest             an event, argument or option that makes no sense
        │   ├── UnknownDatabase
        │   ├── UnknownPoint
        │   └── PointNotRestorable
        ├── BadConfiguration       holdfast.toml or a function's environment is wrong
        ├── BackupAlreadyRunning   another backup of the same database holds the lock
        │   └── CollectionRunning  a collection of its unneeded chunks does
        ├── PointProtected         somebody protects the point that was to be removed
        ├── RestoreAlreadyRunning  another restore writes into the same target
        ├── SourceRefused          the source cannot be backed up as it is
        │   ├── AuthenticationFailed
        │   ├── BalancedEndpoint
        │   ├── ManifestTooLarge
        │   ├── TlsRefused
        │   ├── PooledEndpoint
        │   ├── PrivilegeMissing
        │   ├── RowTooLong
        │   ├── SchemaTooLarge
        │   ├── ServerTooNew
        │   ├── ServerTooOld
        │   ├── SourceDiskFull
        │   └── StandbyRefused
        ├── ProviderRefused        the provider will not do what was asked
        │   ├── ProviderMissing
        │   ├── ProviderQuota
        │   ├── ProviderStuck
        │   ├── ProviderUnauthorised
        │   └── SnapshotRefused    what the provider has is no recovery point
        ├── SnapshotLost           the holder ended before the backup was sealed
        ├── BackupYielded          somebody waited behind the backup, and it gave way
        ├── SchemaChanged          the schema is not the one that was dumped
        ├── BackupIncomplete       something planned was not captured
        ├── RowsTruncated          COPY text ends in the middle of a row
        ├── ArchiveDamaged         an object is missing or is not what the manifest says
        ├── SignatureInvalid       the manifest was not signed by the sealing key
        ├── TargetRefused          the target cannot take the restore
        │   ├── TargetDiskFull
        │   ├── TargetNotEmpty
        │   └── TargetIncompatible
        ├── StepTooLong            a step that cannot be gone on with did not end within one invocation
        ├── ConstraintViolated     archived rows break a constraint of their own table
        ├── RestoreNotProven       the restored database differs from the archive
        ├── ValidationFailed       a check of the operator's own failed on the restored database
        ├── LocalDiskFull          a download does not fit on the disk of whoever asked for it
        ├── ProgramFailed          psql, pg_dump or pg_restore exited with an error
        └── UnexpectedState        something that should not exist; always a defect or a vendor's change
"""

from __future__ import annotations


class HoldfastError(Exception):
    """
    An error with a sentence for people, a remedy and the ids that it speaks of.

    `message` names the thing; `hint` says what to do about it. Neither ever holds a secret, a
    connection string or row data. `str()` gives both, since Step Functions shows only that.
    """

    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None, **ids: object) -> None:
        self.message = message
        if hint is not None:
            self.hint = hint
        self.ids = ids
        super().__init__(f"{message} {self.hint}".strip())


class Transient(HoldfastError):
    """The same call may succeed later."""


class DatabaseBusy(Transient):
    """A lock, a connection slot or a replay conflict stood in the way."""

    hint = "Holdfast tries again by itself; if it persists, look for long transactions and at max_connections."


class DatabaseUnreachable(Transient):
    """The server did not answer, or went away."""

    hint = "Check host, port, security groups and whether the server is running."


class ProviderBusy(Transient):
    """The provider asked to come back later: another change runs, or there were too many requests."""

    hint = "Holdfast tries again by itself."


class ProviderUnreachable(Transient):
    """The provider's API did not answer, or answered that it is broken."""

    hint = "Holdfast tries again by itself; if it persists, look at the provider's status page."


class SnapshotNotReady(Transient):
    """No usable snapshot is published at this moment."""

    hint = "The holder publishes it within seconds; Holdfast tries again by itself."


class StillWorking(Transient):
    """
    The work goes on, or has to be gone on with: it is longer than one invocation.

    Retried hundreds of times, since nothing is wrong: a large index may take a day.
    """

    hint = "Holdfast goes on by itself."


class StorageThrottled(Transient):
    """A storage service asked for a slower pace."""

    hint = "Holdfast tries again by itself."


class Permanent(HoldfastError):
    """Calling again changes nothing; somebody has to act."""


class BadRequest(Permanent):
    """An event, argument or option makes no sense."""

    hint = "Correct the request and send it again."


class UnknownDatabase(BadRequest):
    """The name is in no holdfast.toml that this system was deployed with."""


class UnknownPoint(BadRequest):
    """No recovery point has this id."""


class PointNotRestorable(BadRequest):
    """The recovery point is not in a state that may be restored."""


class BadConfiguration(Permanent):
    """holdfast.toml or a function's environment is wrong."""

    hint = "Correct every fault listed and try again."


class BackupAlreadyRunning(Permanent):
    """Another backup of the same database is running; its ids are in `ids`."""

    hint = "Wait for it, or stop its execution; the next backup then starts at once."


class CollectionRunning(BackupAlreadyRunning):
    """A collection of unneeded chunks holds the database's lock; its execution is in `ids`."""

    hint = "It takes minutes; a backup waits for it by itself."


class PointProtected(Permanent):
    """Somebody keeps this point, whatever its age."""

    hint = "`holdfast unprotect POINT --reason TEXT` takes that back."


class RestoreAlreadyRunning(Permanent):
    """Another restore writes into the same target."""

    hint = "Wait for it, or restore into another name."


class SourceRefused(Permanent):
    """The source cannot be backed up as it is."""


class AuthenticationFailed(SourceRefused):
    """The server refused user or password."""

    hint = "Correct the user or password in the database's secret."


class BalancedEndpoint(SourceRefused):
    """Several servers answer at this address; a snapshot lives on one of them only."""

    hint = "Give the address of one server: the primary's, or one standby's with standby = true for the database."


class TlsRefused(SourceRefused):
    """No TLS connection with the required checks was possible."""

    hint = "Correct sslmode or sslrootcert in the database's secret, or the server's certificate."


class PooledEndpoint(SourceRefused):
    """A connection pooler answers at this address; snapshots and session settings do not survive one."""

    hint = "Give the direct (unpooled) host."


class PrivilegeMissing(SourceRefused):
    """The backup role may not read something that belongs to the backup."""


class RowTooLong(SourceRefused):
    """A row cannot be written as text: it would be longer than the server can write, or it is damaged."""


class SchemaTooLarge(SourceRefused):
    """The definitions could not be read within one invocation, and reading them again would begin anew."""

    hint = (
        "Give functions.timeout_seconds up to 900, and functions.memory_mb and dump_memory_mb more, which gives more "
        "CPU, too; drop tables and partitions that nobody needs; or back up part of the schemas, with include_schemas "
        "and exclude_schemas. If there are few objects, the server or the way to it was slow: start the backup again."
    )


class ManifestTooLarge(SourceRefused):
    """A point would have more chunks than the functions that read its manifest can hold in memory."""

    hint = (
        "Give functions.memory_mb more, up to 10240; or protect parts of the database apart, with include_schemas and "
        "exclude_schemas."
    )


class ServerTooNew(SourceRefused):
    """The server's major version is newer than our pg_dump."""

    hint = "Update Holdfast: its client programs must be at least as new as the server."


class ServerTooOld(SourceRefused):
    """The server's major version is older than any that Holdfast supports."""

    hint = "Upgrade the server to PostgreSQL 13 or later."


class SourceDiskFull(SourceRefused):
    """The disk of the source's server is full, so it cannot even sort."""

    hint = "Enlarge it or make room there, then back up again: chunks that are stored already are not copied again."


class StandbyRefused(SourceRefused):
    """The server is a standby, and nobody said that this is meant: replay may end the backup's sessions there."""

    hint = "Give the primary's address, or set standby = true for the database where a standby is meant."


class ProviderRefused(Permanent):
    """The provider will not do what was asked."""

    hint = "Look at the provider's own message, and at the database in its console."


class ProviderMissing(ProviderRefused):
    """The provider knows no such thing: it was deleted, or the configuration names another."""

    hint = "Check the ids in holdfast.toml, and whether somebody deleted it."


class ProviderQuota(ProviderRefused):
    """A limit of the provider's plan or account is reached."""

    hint = "Delete what is no longer needed, or raise the limit."


class ProviderStuck(ProviderRefused):
    """What the provider was asked for is not there after a time within which it always should be."""

    hint = "Look at it in the provider's console, and at the provider's status page; then start it again."


class SnapshotRefused(ProviderRefused):
    """What the provider says is done would not bring the database back, so it is no recovery point."""

    hint = "Look at it in the provider's console; older points are listed by `holdfast points`."


class ProviderUnauthorised(ProviderRefused):
    """The provider does not accept the key, or the key may not do this."""

    hint = "Make a new key and put it into the database's secret."


class SnapshotLost(Permanent):
    """The holder of the exported snapshot ended before the backup was sealed."""

    hint = "Start the backup again: chunks that are already stored are not copied again."


class BackupYielded(Permanent):
    """
    Somebody waited behind the backup's locks or its snapshot, and it gave way; or the schema became another.

    The machine begins anew some minutes later, with a fresh snapshot; the error comes out only when it had to give
    way each time. A changed schema ends the last attempt as `SchemaChanged`.
    """

    hint = (
        "Let that session's work end, or back up at another time, when no migration or maintenance runs: "
        "chunks that are already stored are not copied again."
    )


class SchemaChanged(Permanent):
    """The schema at the end of the backup is not the one at its start."""

    hint = "Start the backup again when the migration is done."


class BackupIncomplete(Permanent):
    """Something that the plan lists was not captured."""

    hint = "Start the backup again: chunks that are already stored are not copied again."


class RowsTruncated(Permanent):
    """COPY text ends in the middle of a row: whoever wrote or sent it stopped early."""

    hint = "If it came from a server, start again; if from an archive, use another recovery point."


class ArchiveDamaged(Permanent):
    """An object is missing or is not what the manifest says."""

    hint = "Use another recovery point, and find out what changed the bucket."


class SignatureInvalid(Permanent):
    """The manifest was not signed by the key that seals this system's archives."""

    hint = "Do not restore it; use another recovery point, and find out who wrote it."


class TargetRefused(Permanent):
    """The target cannot take the restore; when assessing finds it, nothing has been changed there."""


class TargetDiskFull(TargetRefused):
    """
    The disk of the target's server is full.

    Permanent, since a disk does not grow by waiting, and each attempt would fill it again for all its databases.
    """

    hint = (
        "Enlarge the disk of the target's server, or make room there; then drop the database that this restore has "
        "begun, and restore again."
    )


class TargetNotEmpty(TargetRefused):
    """The target database holds something already; Holdfast never restores over data."""

    hint = "Restore into a new name, or empty that database yourself first."


class TargetIncompatible(TargetRefused):
    """Version, extensions, encoding, space or privileges of the target do not suffice."""


class ContentRefused(TargetRefused):
    """The target refuses archived rows or a definition, though both are what the source held."""

    hint = (
        "Look up the SQLSTATE, and in the target's log the whole message. A CHECK or an index whose function reads "
        "other tables or names objects depends on the order of the restore: make it a trigger in the source, and back "
        "it up again; what is archived already can be restored by hand, as RESTORE.md beside the manifest shows."
    )


class StepTooLong(Permanent):
    """A step of a restore did not end within one invocation, and repeating it would begin anew."""

    hint = (
        "Give functions.timeout_seconds up to 900, and functions.memory_mb more, which gives more CPU, too; or restore "
        "parts of the point, by schemas or tables, one after the other. If there are few objects, the server or the "
        "way to it was slow, or somebody held its tables locked: start the restore again."
    )


class ConstraintViolated(Permanent):
    """Archived rows break a constraint: the source never checked them, or it judges otherwise in the target."""

    hint = (
        "If the source's rows break it too, mend them or the constraint there and back it up again; a CHECK whose "
        "function reads other tables depends on the order of the restore. What is archived already can be "
        "restored by hand, without this constraint, as RESTORE.md beside the manifest shows."
    )


class RestoreNotProven(Permanent):
    """The restored database is not identical to the archive."""

    hint = "Do not use it; the report names each difference."


class ValidationFailed(Permanent):
    """A check of the operator's own failed on the restored database."""

    hint = "Look at the report: the database is restored, but does not pass its checks."


class LocalDiskFull(Permanent):
    """A download does not fit where it is written to."""

    hint = "Make room, or give another place with --to; a directory is gone on with when you call again."


class ProgramFailed(Permanent):
    """psql, pg_dump or pg_restore exited with an error of its own."""


class UnexpectedState(Permanent):
    """Something is in a state that should not exist."""

    hint = "This is a defect or a change at the vendor: report it with the ids."
