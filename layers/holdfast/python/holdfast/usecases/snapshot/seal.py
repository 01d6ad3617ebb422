"""Seal a backup: compare what was captured with the plan, write the manifest and sign it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg

from holdfast import __version__
from holdfast.adapters.postgres import large_objects
from holdfast.adapters.postgres.connect import connect_to_source, set_where_known, translate
from holdfast.adapters.postgres.quoting import qualified
from holdfast.adapters.postgres.sequences import restarted, set_back
from holdfast.adapters.postgres.snapshots import begin_imported
from holdfast.archive.handbook import handbook
from holdfast.archive.sealing import canonical
from holdfast.contracts.backup import PointRequest, Sealed
from holdfast.contracts.documents import BackupPlan, DumpBatch, DumpResult, RangeResult, SchemaResult
from holdfast.contracts.manifest import Chunk, LargeObjects, Manifest, StoredObject, TableContent
from holdfast.errors import BackupIncomplete, SchemaChanged, SnapshotLost, SnapshotNotReady, UnexpectedState
from holdfast.model.keys import HANDBOOK, MANIFEST, PUBLIC_KEY, SIGNATURE, ArchiveKeys, RunKeys
from holdfast.model.planning import uncovered
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.model.sessions import session_name
from holdfast.model.tables import BlockRange
from holdfast.ports.catalogue import Hold, Points
from holdfast.ports.keys import Signer
from holdfast.ports.storage import Archive, Scratch
from holdfast.usecases.snapshot.access import SnapshotAccess, refuse_over
from holdfast.usecases.snapshot.blaming import blaming_changes
from holdfast.usecases.snapshot.copy import STAGE
from holdfast.usecases.snapshot.definitions import definitions
from holdfast.usecases.snapshot.plan import SETTINGS, read_plan
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.time_limit import TimeLimit


@dataclass(frozen=True, slots=True)
class Captured:
    """What one range became: its blocks, and its chunks as the manifest lists them."""

    blocks: BlockRange
    chunks: tuple[Chunk, ...]
    new_bytes: int


Ranges = dict[int, list[Captured]]
_READERS = 16


class Sealing:
    """What sealing needs; one object serves one invocation."""

    def __init__(
        self,
        *,
        protected: Protected,
        access: SnapshotAccess,
        points: Points,
        scratch: Scratch,
        archive: Archive,
        signer: Signer,
        bucket: str,
        now: Callable[[], datetime],
        seconds_left: Callable[[], float],
    ) -> None:
        self._protected, self._access, self._points, self._scratch = protected, access, points, scratch
        self._archive, self._signer, self._bucket, self._now = archive, signer, bucket, now
        self._seconds_left = seconds_left

    def run(self, request: PointRequest) -> Sealed:
        """
        Write everything that makes the point restorable, then move it to `captured`.

        May be repeated: a manifest that an attempt wrote before it died stays the manifest. Raises
        `BackupIncomplete`, `SchemaChanged`, `SchemaTooLarge`, `SnapshotLost` when the point is not being captured any
        more, and `BackupYielded` when this attempt gave way. Once it is known that the snapshot was held until the
        last row, nobody needs it any more: from then on the attempt is sealed, whoever waits.
        """
        point = self._points.get(request.point_id)
        if point.state not in {PointState.CAPTURING, PointState.CAPTURED}:
            raise SnapshotLost(f"The point {point.id} is {point.state}: its backup is over.", point=point.id)
        plan = read_plan(self._scratch, request.run)
        if plan is None:
            raise BackupIncomplete(f"The backup {point.id} has no plan.", point=point.id)
        schema, ranges = self._results(plan, request.run)
        if point.state is PointState.CAPTURING and point.sealing != request.attempt:
            point = self._known_whole(point, plan, schema, request.attempt)
        manifest = self._manifest(point, plan, schema, ranges)
        new = sum(result.new_bytes for results in ranges.values() for result in results)
        return self._capture(point, manifest, new)

    def _results(self, plan: BackupPlan, run: str) -> tuple[SchemaResult, Ranges]:
        """Return all results; raises `BackupIncomplete` unless each planned range has exactly one."""
        keys = RunKeys("backup", run)
        schema: SchemaResult | None = None
        ranges: Ranges = defaultdict(list)

        def read(number: int) -> tuple[SchemaResult | None, list[tuple[int, Captured]]]:
            planned, done = (
                self._scratch.read(keys.batch(STAGE, number, plan.id)),
                self._scratch.read(keys.result(STAGE, number)),
            )
            if planned is None or done is None:
                raise BackupIncomplete(f"Batch {number} of {plan.point_id} was not captured.", point=plan.point_id)
            batch, result = DumpBatch.model_validate_json(planned), DumpResult.model_validate_json(done)
            _refuse_other_ranges(plan, batch, result)
            return result.schema_result, [(one.table, _captured(one)) for one in result.ranges]

        with ThreadPoolExecutor(_READERS) as pool:
            for found, captured in pool.map(read, range(plan.batches)):
                schema = found or schema
                for table, one in captured:
                    ranges[table].append(one)
        if schema is None or sum(map(len, ranges.values())) != plan.ranges:
            raise BackupIncomplete(f"Some of {plan.point_id} was not captured.", point=plan.point_id)
        _refuse_uncovered(plan, ranges)
        return schema, ranges

    def _known_whole(self, point: RecoveryPoint, plan: BackupPlan, schema: SchemaResult, attempt: int) -> RecoveryPoint:
        """Return the point once it is known that nothing is lost; it may have been sealed by another invocation."""
        try:
            self._refuse_unless_held(plan, schema)
            if not self._points.begin_sealing(point.id, attempt):
                refuse_over(self._points.get(point.id), attempt)
        except SnapshotLost:
            # The same event may be delivered twice at once, and the snapshot is let go once one has sealed.
            if (sealed := self._points.get(point.id)).state is not PointState.CAPTURED:
                raise
            return sealed
        return point

    def _refuse_unless_held(self, plan: BackupPlan, schema: SchemaResult) -> None:
        """
        Prove, now that everything is copied, that the snapshot was never let go, and that the schema is the same.

        Where it was let go for a moment, a TRUNCATE may have emptied a table under it without any error.
        """
        limit = TimeLimit(
            self._protected.parameters, name=plan.database, point_id=plan.point_id, seconds_left=self._seconds_left
        )
        try:
            self._access.using(lambda hold: self._checked(hold, plan, schema, limit))
        except SnapshotNotReady as error:
            raise SnapshotLost(
                f"The snapshot of {plan.point_id} was let go before everything was sealed.", point=plan.point_id
            ) from error

    def _checked(self, hold: Hold, plan: BackupPlan, schema: SchemaResult, limit: TimeLimit) -> None:
        """
        Compare with the schema as it is now: locks on tables stop neither an enum's nor a function's change.

        What the snapshot sees must be there, word for word. What has been added since is no part of the backup.
        """
        if hold.taken_at != plan.snapshot.taken_at:
            raise SnapshotLost(f"The snapshot of {plan.point_id} is not the one that was planned.", point=plan.point_id)
        name = session_name("seal", plan.point_id)
        try:
            with (
                connect_to_source(self._protected.parameters, application_name=name) as session,
                limit.around("comparing the schema with that of the snapshot", session),
            ):
                set_where_known(session, {**SETTINGS, **limit.settings})
                begin_imported(session, hold.snapshot, hold.server)
                planned = {(one.schema_name, one.name) for one in plan.sequences}
                behind = [name for name in restarted(session) if name in planned]
                behind += set_back(session, plan.sequences, schema.sequences)
                define = partial(
                    definitions,
                    session,
                    self._protected,
                    encoding=plan.source.encoding,
                    application_name=name,
                    limit=limit,
                )
                with blaming_changes(self._protected.parameters, hold):
                    before = define(snapshot=hold.snapshot)
                session.execute("COMMIT")
                kinds = before.gone_from(define())
        except psycopg.errors.InternalError_ as error:
            # The server says so when something is dropped while its definition is written down.
            raise SchemaChanged(
                f"The schema changed while {plan.point_id} was captured: something was dropped.", point=plan.point_id
            ) from error
        except psycopg.Error as error:
            raise translate(error, doing="taking the schema's fingerprint") from error
        if behind:
            raise SchemaChanged(
                f"The sequence {qualified(*behind[0])} was set back or altered while {plan.point_id} was captured.",
                point=plan.point_id,
            )
        if kinds or before.fingerprint != plan.fingerprint:
            what = f": {kinds}" if kinds else ""
            raise SchemaChanged(f"The schema changed while {plan.point_id} was captured{what}.", point=plan.point_id)

    def _manifest(self, point: RecoveryPoint, plan: BackupPlan, schema: SchemaResult, ranges: Ranges) -> Manifest:
        tables = [
            _content(table.schema_name, table.name, table.columns, ranges.get(number, ())).model_copy(
                update={"types": table.types, "condition": table.condition, "load_into": table.load_into}
            )
            for number, table in enumerate(plan.tables)
        ]
        return Manifest(
            point_id=point.id,
            database=point.database,
            provider=self._protected.provider,
            tier=point.tier,
            kind=point.kind,
            selection=plan.selection,
            without_rows=plan.without_rows,
            holdfast_version=__version__,
            client_version=schema.client_version,
            started_at=point.started_at,
            sealed_at=self._now(),
            source=plan.source,
            snapshot=plan.snapshot,
            settings=plan.settings,
            schema_dump=schema.schema_dump,
            schema_fingerprint=plan.fingerprint,
            globals_sql=schema.globals_sql,
            roles_document=schema.roles_document,
            roles=plan.roles,
            extensions=plan.extensions,
            tables=tuple(tables),
            large_objects=_large_objects(plan, ranges),
            sequences=schema.sequences,
            materialised_views=plan.materialised_views,
        )

    def _capture(self, point: RecoveryPoint, manifest: Manifest, new: int) -> Sealed:
        """Write handbook, manifest, signature and key, then let the point count."""
        if self._points.get(point.id).state not in {point.state, PointState.CAPTURED}:
            raise SnapshotLost(f"The backup of {point.id} ended while it was sealed.", point=point.id)
        manifest = manifest.model_copy(update={"handbook": self._handbook(point, manifest)})
        ours = canonical(manifest)
        body, version = self._put(point, MANIFEST, ours)
        if body is not ours:
            manifest = _same(manifest, Manifest.model_validate_json(body))
        digest = hashlib.sha256(body)
        _, signature = self._put(point, SIGNATURE, self._signer.sign(digest.digest()))
        self._put(point, PUBLIC_KEY, self._signer.public_key())
        sealed = _summary(manifest, new)
        self._points.advance(
            point.id,
            PointState.CAPTURED,
            captured_at=manifest.sealed_at,
            taken_at=manifest.snapshot.taken_at,
            manifest_version=version,
            manifest_sha256=digest.hexdigest(),
            signature_version=signature,
            server_version=manifest.source.server_version,
            tables=sealed.tables,
            rows=sealed.rows,
            bytes_plain=sealed.bytes_plain,
            bytes_stored=sealed.bytes_stored,
            bytes_new=sealed.bytes_new,
        )
        self._points.release(point.database, point.execution)
        return sealed

    def _handbook(self, point: RecoveryPoint, manifest: Manifest) -> StoredObject:
        """Write RESTORE.md, which the manifest vouches for; only what is ours is ever signed."""
        ours = handbook(manifest, bucket=self._bucket).encode()
        body, version = self._put(point, HANDBOOK, ours)
        if body != ours:
            raise UnexpectedState(f"Another {HANDBOOK} lies where that of {point.id} belongs.", point=point.id)
        key, digest = ArchiveKeys(point.database).of_point(point.id, HANDBOOK), hashlib.sha256(ours).hexdigest()
        return StoredObject(key=key, version_id=version, sha256=digest, size=len(ours))

    def _put(self, point: RecoveryPoint, name: str, body: bytes) -> tuple[bytes, str]:
        """Store an object of the point; return what lies there and its version."""
        key = ArchiveKeys(point.database).of_point(point.id, name)
        retain_until = self._protected.retain_until(point, self._now())
        stored = self._archive.put(key, body, sha256=hashlib.sha256(body).hexdigest(), retain_until=retain_until)
        if not stored.created:
            body = self._archive.read(key, stored.version_id)
        return body, stored.version_id


def _same(ours: Manifest, stored: Manifest) -> Manifest:
    """Return the stored manifest; only one that an attempt of ours wrote, a moment earlier, is ever signed."""
    if stored.model_copy(update={"sealed_at": ours.sealed_at}) != ours:
        raise UnexpectedState(f"Another manifest lies where that of {ours.point_id} belongs.", point=ours.point_id)
    return stored


def _refuse_other_ranges(plan: BackupPlan, batch: DumpBatch, result: DumpResult) -> None:
    """Refuse what is not of this very plan: each range once, in order, with chunks of its own table and blocks."""
    if not plan.id == batch.plan == result.plan:
        raise BackupIncomplete(f"Batch {batch.batch} of {plan.point_id} is of another plan.", point=plan.point_id)
    pairs = zip(result.ranges, batch.ranges, strict=False)
    if len(result.ranges) != len(batch.ranges) or not all(done.is_of(planned) for done, planned in pairs):
        raise BackupIncomplete(f"Some ranges of {plan.point_id} were not captured.", point=plan.point_id)


def _captured(done: RangeResult) -> Captured:
    blocks = BlockRange(done.first_block, done.end_block)
    return Captured(blocks, tuple(chunk.listed() for chunk in done.chunks), done.new_bytes)


def _refuse_uncovered(plan: BackupPlan, ranges: Ranges) -> None:
    """Refuse what lacks a table, a block of one or a part of a range, or has any of them twice."""
    for table in {*ranges, *range(len(plan.tables))}:
        parts = (one.part for done in ranges[table] for one in done.chunks)
        whole = [part for done in ranges[table] for part in range(len(done.chunks))]
        if uncovered(one.blocks for one in ranges[table]) or list(parts) != whole:
            raise BackupIncomplete(f"Not every block of {plan.point_id} was captured once.", point=plan.point_id)


def _content(schema: str, name: str, columns: tuple[str, ...], ranges: Iterable[Captured]) -> TableContent:
    chunks = [chunk for one in sorted(ranges, key=lambda one: one.blocks.first) for chunk in one.chunks]
    return TableContent(
        schema_name=schema,
        name=name,
        columns=columns,
        rows=sum(chunk.rows for chunk in chunks),
        plain=sum(chunk.plain for chunk in chunks),
        chunks=tuple(chunks),
    )


def _large_objects(plan: BackupPlan, ranges: Ranges) -> LargeObjects | None:
    if plan.large_object_owners is None:
        return None
    schema, content, listed = large_objects.CATALOGUE, large_objects.CONTENT, large_objects.LIST
    return LargeObjects(
        owners=plan.large_object_owners,
        content=_content(schema, plan.large_objects_from, large_objects.CONTENT_COLUMNS, ranges.get(content, ())),
        listed=_content(schema, large_objects.LISTED_IN, large_objects.LIST_COLUMNS, ranges.get(listed, ())),
    )


def _summary(manifest: Manifest, new: int) -> Sealed:
    chunks = [chunk for content in manifest.contents for chunk in content.chunks]
    return Sealed(
        database=manifest.database,
        point_id=manifest.point_id,
        tables=len(manifest.tables),
        rows=sum(table.rows for table in manifest.tables),
        chunks=len(chunks),
        bytes_plain=sum(chunk.plain for chunk in chunks),
        # A chunk that a point lists twice lies there once.
        bytes_stored=sum({chunk.sha256: chunk.stored for chunk in chunks}.values()),
        bytes_new=new,
    )
