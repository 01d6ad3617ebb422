"""Write the plan of an assessed restore: batches and items first, so that a plan is always complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.target import ServerFacts, locale_for
from holdfast.contracts.restore import Assessed, RestoreRequest, Stage
from holdfast.contracts.restoring import FinishBatch, LeftOut, LoadBatch, ProveBatch, RestorePlan, StageSummary
from holdfast.model.building import above_foreign_tables
from holdfast.model.comparing import DATABASE_OWNER
from holdfast.model.database_entries import connection_limit
from holdfast.model.keys import MANIFEST, RunKeys
from holdfast.model.restoring import SchemaPlan
from holdfast.model.rows_of_names import tables_of_names
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry, TocParts
from holdfast.usecases.restore import batching, judging, statements
from holdfast.usecases.restore.choosing import Chosen
from holdfast.usecases.restore.parts import Parted
from holdfast.usecases.restore.privileges import RolesNeeded
from holdfast.usecases.restore.targets import Place
from holdfast.usecases.restore.world import PLAN, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Everything that assessing yielded; *dump* is the archive's schema dump, if it has one."""

    request: RestoreRequest
    restore_id: str
    chosen: Chosen
    place: Place
    facts: ServerFacts
    roles: RolesNeeded
    said_of_roles: tuple[str, ...]
    exists: bool
    dump: TocParts | None
    entries: tuple[TocEntry, ...]
    schema: SchemaPlan
    parted: Parted
    late: frozenset[TableName]
    concurrency: int
    now: datetime

    @property
    def may_own(self) -> frozenset[str]:
        """Return the roles that we may make the database's owner."""
        missing, to_join = self.roles.missing, self.roles.to_join
        return self.facts.roles | set(missing) if self.facts.superuser else self.facts.acts_for | set(to_join)

    @property
    def owners_to_help(self) -> tuple[tuple[str, str], ...]:
        """Return (schema, role) pairs of owners that need to be lent the right to create; none for a superuser."""
        if self.facts.superuser:
            return ()
        ours = {self.facts.role, DATABASE_OWNER, *self.roles.foreign}
        # A schema's owner may create there anyway, and taking that back would take his own right.
        own = {(entry.tag, entry.owner) for entry in self.entries if entry.kind == "SCHEMA"}
        return tuple(pair for pair in self.schema.owners if pair[1] not in ours and pair not in own)


@dataclass(frozen=True, slots=True)
class _Work:
    load: Sequence[LoadBatch]
    prove: Sequence[ProveBatch]
    finish: Mapping[str, Sequence[FinishBatch]]


def write_plan(assessed: Assessment, world: World) -> Assessed:
    """Write batches, items and plan into the scratch bucket, and return the pointers to them."""
    work, scratch, restore_id = _work(assessed), world.scratch, assessed.restore_id
    plan = _plan(assessed, work)
    if assessed.dump is not None:
        slices = (each for batches in work.finish.values() for batch in batches for each in batch.slices)
        batching.write_definitions(scratch, restore_id, assessed.dump, [*plan.before, *slices])
    answer = Assessed(
        restore_id=restore_id,
        database=assessed.request.database,
        point_id=assessed.chosen.point.id,
        into=assessed.request.into,
        concurrency=assessed.concurrency,
        load=batching.write_stage(scratch, restore_id, "load", work.load, plan.bytes_plain),
        prove=batching.write_stage(scratch, restore_id, "prove", work.prove, plan.bytes_plain),
        slices_before=len(plan.before),
        finish=tuple(
            Stage(name=name, items=batching.write_stage(scratch, restore_id, name, batches))
            for name, batches in work.finish.items()
        ),
        plan_only=assessed.request.plan_only,
    )
    if not plan.part.whole:
        world.write(RunKeys("restore", restore_id).document(MANIFEST), assessed.parted.manifest)
    world.write(RunKeys("restore", restore_id).document(PLAN), plan)
    return answer


def _work(assessed: Assessment) -> _Work:
    manifest, facts = assessed.parted.manifest, assessed.facts
    return _Work(
        load=batching.load_batches(manifest, concurrency=assessed.concurrency, late=assessed.late),
        prove=batching.prove_batches(manifest, concurrency=assessed.concurrency, version=facts.version),
        finish=batching.finish_stages(
            manifest,
            assessed.schema,
            assessed.entries,
            version=facts.version,
            late_rows=batching.late_batches(manifest, concurrency=assessed.concurrency, late=assessed.late),
            forward_only=assessed.parted.part.rows_only,
            lent=list(statements.take_creation_back(assessed.owners_to_help, assessed.request.into)),
            of_database=[]
            if assessed.parted.part.by_name
            else list(
                statements.describe_database(
                    assessed.entries, assessed.request.into, may_own=assessed.may_own, superuser=facts.superuser
                )
            ),
        ),
    )


def _plan(assessed: Assessment, work: _Work) -> RestorePlan:
    manifest, facts, request = assessed.parted.manifest, assessed.facts, assessed.request
    archived = [chunk for content in assessed.chosen.manifest.contents for chunk in content.chunks]
    locale, warning = locale_for(manifest.source, facts)
    chunks = [chunk for content in manifest.contents for chunk in content.chunks]
    return RestorePlan(
        restore_id=assessed.restore_id,
        execution=request.execution,
        reason=request.reason,
        database=request.database,
        provider=manifest.provider,
        point_id=assessed.chosen.point.id,
        point_state=assessed.chosen.point.state,
        taken_at=manifest.snapshot.taken_at,
        planned_at=assessed.now,
        loses_seconds=(assessed.now - manifest.snapshot.taken_at).total_seconds(),
        manifest=assessed.chosen.pinned,
        verification=assessed.chosen.verification,
        into=request.into,
        target=str(assessed.place),
        secret=assessed.place.secret,
        own_server=assessed.place.own_server,
        target_version=facts.version,
        source_version=manifest.source.server_version,
        settings=manifest.settings,
        role=facts.role,
        superuser=facts.superuser,
        database_exists=assessed.exists,
        locale=locale,
        part=assessed.parted.part,
        bytes_of_point=sum({chunk.sha256: chunk.stored for chunk in archived}.values()),
        roles_missing=assessed.roles.missing,
        roles_to_join=assessed.roles.to_join,
        roles_foreign=tuple(sorted(assessed.roles.foreign)),
        roles_absent=tuple(sorted(assessed.roles.absent)),
        left_out=tuple(_left_out(assessed)),
        warnings=(
            *_of_damage(assessed.chosen),
            *assessed.parted.warnings,
            *judging.warnings_of(manifest, facts, assessed.roles),
            *assessed.said_of_roles,
            *judging.of_rows_of_names(
                assessed.late, tables_of_names(assessed.entries), manifest, partly=assessed.parted.part.by_name
            ),
            *judging.of_tried(assessed.schema.if_allowed),
            *([warning] if warning else []),
            *_of_key(assessed.chosen),
        ),
        tables=len(manifest.tables),
        large_objects=manifest.large_objects is not None,
        rows=sum(content.rows for content in manifest.contents),
        bytes_plain=sum(chunk.plain for chunk in chunks),
        bytes_stored=sum(chunk.stored for chunk in chunks),
        chunks=len(chunks),
        before=batching.slices_before(
            manifest,
            assessed.schema,
            statements.lend_creation(assessed.owners_to_help, request.into),
            assessed.parted.part.schemas_added,
        ),
        schema_entries=len(assessed.schema.restored),
        stages=tuple(_summaries(work)),
        concurrency=assessed.concurrency,
    )


def _of_damage(chosen: Chosen) -> Iterable[str]:
    if chosen.point.damaged:
        yield (
            f"WARNING: {chosen.point.id} is damaged: {chosen.point.failure.rstrip('.')}. What is restored of it here "
            "is there, and is checked as it is loaded; the point stays failed."
        )


def _of_key(chosen: Chosen) -> Iterable[str]:
    if not chosen.key_beside:
        yield (
            f"The public key beside the manifest of {chosen.point.id} is missing. Its signature was checked with the "
            "sealing key; whoever restores by RESTORE.md needs the public half of it."
        )


def _left_out(assessed: Assessment) -> Iterable[LeftOut]:
    for name, reason in (*assessed.parted.left_out, *assessed.schema.left_out):
        yield LeftOut(name=name, reason=reason)
    for table in sorted(above_foreign_tables(assessed.entries)):
        reason = "Collecting them would read the foreign tables below it, from another server."
        yield LeftOut(name=f"statistics of the table {table}", reason=reason)
    limit = connection_limit(assessed.entries, identifier(assessed.request.into))
    if limit and not assessed.facts.superuser and not assessed.parted.part.by_name:
        reason = f"It would shut out the restore, whose role is no superuser. Set it afterwards: {limit};"
        yield LeftOut(name="the database's limit of connections", reason=reason)


def _summaries(work: _Work) -> Iterable[StageSummary]:
    yield StageSummary(name="load", batches=len(work.load), slices=sum(len(batch.chunks) for batch in work.load))
    for name, batches in work.finish.items():
        pieces = sum(len(batch.slices) + len(batch.chunks) for batch in batches)
        yield StageSummary(name=name, batches=len(batches), slices=pieces)
    yield StageSummary(name="prove", batches=len(work.prove), slices=sum(len(batch.parts) for batch in work.prove))
