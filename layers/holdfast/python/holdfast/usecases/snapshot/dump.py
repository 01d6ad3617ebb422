"""Copy one batch: its ranges as chunks, or everything but rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

import psycopg

from holdfast.adapters.postgres.checks import client_version
from holdfast.adapters.postgres.connect import connect_to_source, set_where_known, translate
from holdfast.adapters.postgres.roles import roles_named
from holdfast.adapters.postgres.schema_dump import dump_globals, dump_schema
from holdfast.adapters.postgres.sequences import sequences
from holdfast.adapters.postgres.snapshots import begin_imported, refuse_another_server
from holdfast.archive.writing import ChunkWriter
from holdfast.contracts.backup import DumpRequest
from holdfast.contracts.documents import BackupPlan, DumpBatch, DumpResult, RangeResult, SchemaResult
from holdfast.contracts.manifest import Sequence, StoredObject
from holdfast.contracts.work import Done
from holdfast.errors import SnapshotLost, UnexpectedState
from holdfast.model.keys import GLOBALS, ROLES, SCHEMA, ArchiveKeys, RunKeys, name_in
from holdfast.model.points import Kind
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Hold, Points
from holdfast.ports.storage import Archive, Scratch
from holdfast.usecases.snapshot.access import SnapshotAccess, let_in_before
from holdfast.usecases.snapshot.blaming import blaming_changes
from holdfast.usecases.snapshot.copy import STAGE, BatchCopy
from holdfast.usecases.snapshot.plan import SETTINGS, read_plan
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.time_limit import TimeLimit


class BatchDump:
    """What copying a batch needs; one object serves one invocation."""

    def __init__(
        self,
        *,
        protected: Protected,
        access: SnapshotAccess,
        points: Points,
        scratch: Scratch,
        archive: Archive,
        now: Callable[[], datetime],
        seconds_left: Callable[[], float],
    ) -> None:
        self._seconds_left = seconds_left
        self._protected, self._access, self._points = protected, access, points
        self._scratch, self._archive, self._now = scratch, archive, now

    def run(self, request: DumpRequest) -> Done:
        """
        Copy the batch and write its result document, unless that exists.

        May be repeated at any time: chunks that are stored already are not stored again. Raises
        `SchemaTooLarge`, `SnapshotLost`, `SnapshotNotReady`, `StillWorking`, or what stopped psql or pg_dump.
        """
        keys = RunKeys("backup", request.run)
        done = self._scratch.read(keys.result(STAGE, request.batch))
        if done is not None and DumpResult.model_validate_json(done).plan == request.plan:
            return Done()
        body = self._scratch.read(keys.batch(STAGE, request.batch, request.plan))
        if body is None:
            raise UnexpectedState(f"Batch {request.batch} of {request.point_id} was never planned.")
        batch = DumpBatch.model_validate_json(body)
        if batch.plan != request.plan:
            raise UnexpectedState(f"Batch {request.batch} of {request.point_id} is of another plan.")
        result = self._copied(request, batch)
        self._scratch.write(keys.result(STAGE, request.batch), result.model_dump_json().encode())
        return Done()

    def _copied(self, request: DumpRequest, batch: DumpBatch) -> DumpResult:
        if batch.schema_dump:
            schema = self._schema(request, batch)
            return DumpResult(plan=batch.plan, batch=batch.batch, schema_result=schema, finished_at=self._now())
        retain_until = self._retain_until(request.point_id)
        copy = BatchCopy(
            request,
            batch,
            parameters=self._protected.parameters,
            scratch=self._scratch,
            writer=lambda: ChunkWriter(self._archive, ArchiveKeys(self._protected.name), retain_until=retain_until),
            seconds_left=self._seconds_left,
        )
        ranges = self._access.using(lambda hold: self._ranges(copy, hold, batch))
        return DumpResult(plan=batch.plan, batch=batch.batch, ranges=ranges, finished_at=self._now())

    def _ranges(self, copy: BatchCopy, hold: Hold, batch: DumpBatch) -> tuple[RangeResult, ...]:
        with blaming_changes(self._protected.parameters, hold):
            return copy.run(_planned(hold, batch), hold.server)

    def _schema(self, request: DumpRequest, batch: DumpBatch) -> SchemaResult:
        plan = read_plan(self._scratch, request.run)
        if plan is None:
            raise UnexpectedState(f"The backup {request.point_id} has batches, but no plan.", point=request.point_id)
        schema, values = None, tuple[Sequence, ...]()
        limit = TimeLimit(
            self._protected.parameters, name=plan.database, point_id=request.point_id, seconds_left=self._seconds_left
        )
        if plan.kind != Kind.DATA:
            dumped = self._access.using(lambda hold: self._dumped(hold, batch, plan, limit))
            schema = self._kept(request.point_id, name_in(request.attempt, SCHEMA), dumped)
        if plan.kind != Kind.SCHEMA:
            planned = {(one.schema_name, one.name) for one in plan.sequences}
            found = self._access.using(lambda hold: self._sequences(hold, batch, limit))
            values = tuple(one for one in found if (one.schema_name, one.name) in planned)
        with let_in_before():
            roles = dump_globals(
                self._protected.parameters,
                plan.roles,
                server_version=plan.source.server_version,
                application_name=session_name("roles", request.point_id),
            )
        return SchemaResult(
            schema_dump=schema,
            globals_sql=self._kept(request.point_id, name_in(request.attempt, GLOBALS), roles),
            roles_document=self._kept(request.point_id, name_in(request.attempt, ROLES), self._roles(plan)),
            sequences=values,
            client_version=client_version(),
        )

    def _roles(self, plan: BackupPlan) -> bytes:
        try:
            name = session_name("roles", plan.point_id)
            with connect_to_source(self._protected.parameters, application_name=name) as session:
                return roles_named(session, plan.roles).model_dump_json().encode()
        except psycopg.Error as error:
            raise translate(error, doing="reading the roles") from error

    def _dumped(self, hold: Hold, batch: DumpBatch, plan: BackupPlan, limit: TimeLimit) -> bytes:
        self._refuse_another_server(hold)
        with blaming_changes(self._protected.parameters, hold), limit.around("pg_dump wrote them down"):
            dumped = dump_schema(
                self._protected.parameters,
                _planned(hold, batch),
                encoding=batch.settings["client_encoding"],
                selection=plan.selection,
                sequence_values=plan.kind != Kind.SCHEMA,
                application_name=session_name("schema", hold.point_id),
                seconds_left=limit.left,
            )
        self._refuse_another_server(hold)
        return dumped

    def _refuse_another_server(self, hold: Hold) -> None:
        """Ask which server answers, before pg_dump connects and after it has: it cannot be told to ask by itself."""
        try:
            name = session_name("schema", hold.point_id)
            with connect_to_source(self._protected.parameters, application_name=name) as session:
                refuse_another_server(session, hold.server)
        except psycopg.Error as error:
            raise translate(error, doing="asking which server answers") from error

    def _sequences(self, hold: Hold, batch: DumpBatch, limit: TimeLimit) -> tuple[Sequence, ...]:
        """Return the values of the sequences that the snapshot sees: the newest, so never behind its rows."""
        name = session_name("schema", hold.point_id)
        with blaming_changes(self._protected.parameters, hold):
            try:
                with (
                    connect_to_source(self._protected.parameters, application_name=name) as session,
                    limit.around("reading the sequences", session),
                ):
                    set_where_known(session, {**SETTINGS, **limit.settings})
                    begin_imported(session, _planned(hold, batch), hold.server)
                    return sequences(session)
            except psycopg.Error as error:
                raise translate(error, doing="reading the sequences") from error

    def _kept(self, point_id: str, name: str, body: bytes) -> StoredObject:
        """
        Store an object beside the chunks and return what lies there.

        An attempt that died after storing left its own, of the same snapshot and just as good: it counts.
        """
        key = ArchiveKeys(self._protected.name).of_point(point_id, name)
        digest = hashlib.sha256(body).hexdigest()
        stored = self._archive.put(key, body, sha256=digest, retain_until=self._retain_until(point_id))
        if not stored.created:
            body = self._archive.read(key, stored.version_id)
            digest = hashlib.sha256(body).hexdigest()
        return StoredObject(key=key, version_id=stored.version_id, sha256=digest, size=len(body))

    def _retain_until(self, point_id: str) -> datetime:
        return self._protected.retain_until(self._points.get(point_id), self._now())


def _planned(hold: Hold, batch: DumpBatch) -> str:
    """Return the held snapshot, if it is the one that the batch was planned under."""
    if hold.taken_at != batch.taken_at:
        raise SnapshotLost(f"The snapshot of {hold.point_id} is not the one that was planned.", point=hold.point_id)
    return hold.snapshot
