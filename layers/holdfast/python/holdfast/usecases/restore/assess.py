"""Assess a restore: everything that can refuse it does so here, before anything in the target is touched."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from holdfast.adapters.postgres.checks import client_version
from holdfast.adapters.postgres.connect import Connection, connect
from holdfast.adapters.postgres.contents import database_facts
from holdfast.adapters.postgres.roles import roles_named
from holdfast.adapters.postgres.sending import refused
from holdfast.adapters.postgres.target import ServerFacts, database_exists, server_facts
from holdfast.archive.reading import read_schema_dump
from holdfast.contracts.restore import Assessed, RestoreRequest
from holdfast.contracts.roles import RolesDocument
from holdfast.errors import PointNotRestorable, RestoreAlreadyRunning
from holdfast.model.absent_roles import pruned
from holdfast.model.comparing import DATABASE_OWNER
from holdfast.model.database_entries import grantors_of
from holdfast.model.points import PointState
from holdfast.model.restoring import plan_schema
from holdfast.model.rows_of_names import tables_to_load_late
from holdfast.model.tables import TableName
from holdfast.model.toc import read_parts
from holdfast.ports.catalogue import RestoreRun
from holdfast.usecases.limiting import Limit
from holdfast.usecases.restore import fitting, judging
from holdfast.usecases.restore.choosing import Chosen, authenticate, choose_point, refuse_other_digest_key
from holdfast.usecases.restore.following import step_limit
from holdfast.usecases.restore.naming import restore_id_of
from holdfast.usecases.restore.parts import Parted, part_of
from holdfast.usecases.restore.planning import Assessment, write_plan
from holdfast.usecases.restore.privileges import RolesNeeded, roles_needed
from holdfast.usecases.restore.roles import archived_roles, warnings_of_roles
from holdfast.usecases.restore.targets import Place, configured_database, connect_to_server, place_of
from holdfast.usecases.restore.wholeness import naming_another, refuse_missing
from holdfast.usecases.restore.world import World

_NAME = "holdfast restore assess"
_DOING = "looking at the target's server"


def assess(request: RestoreRequest, world: World) -> Assessed:
    """
    Return the plan's pointers when the restore may begin; may be repeated.

    Raises `UnknownDatabase`, `UnknownPoint`, `PointNotRestorable`, `SignatureInvalid`, `ArchiveDamaged`,
    `RestoreAlreadyRunning`, `TargetNotEmpty`, `TargetIncompatible`, `StepTooLong`, and what connecting raises.
    """
    judging.refuse_reserved(request.into)
    limit = step_limit(world)
    database = configured_database(world.configuration, request.database)
    point = choose_point(world.points, request.database, request.point, kind=request.kind)
    with naming_another(world, point), world.counting(restore_id_of(request.execution), "assess"):
        chosen = authenticate(world.archive, world.signer, point)
        dump = read_parts(read_schema_dump(world.archive, chosen.manifest)) if chosen.manifest.schema_dump else None
    refuse_other_digest_key(chosen, world.digest_keys.digest_key(request.database))
    place = place_of(world.configuration, world.secrets, database, request.target_secret)
    with connect_to_server(place, application_name=_NAME) as connection, limit.around(_DOING, connection):
        facts, exists = _look_at(connection, place, request.into)
        parted = part_of(request, chosen.manifest, dump.plain if dump else (), connection)
        with naming_another(world, point), world.counting(restore_id_of(request.execution), "assess-roles"):
            archived = archived_roles(parted.manifest, world.archive)
            refuse_missing(parted.manifest, world, limit)
        found = _roles_there(connection, archived)
    fitting.refuse_without_database(parted.part, request.into, exists=exists)
    manifest, entries = parted.manifest, parted.entries
    roles = _roles(parted, facts, archived)
    client_major = int(client_version().split(".")[0])
    judging.refuse_incompatible(manifest, facts, roles, exists=exists, client_major=client_major, entries=entries)
    concurrency = judging.workers(facts, most=database.concurrency)
    _begin(request, world, chosen, place)
    if exists and parted.part.rows_only:
        parted = fitting.fit_rows(parted, place, request.into, limit)
    elif exists:
        _refuse_occupied(place, parted, facts, request.into, limit)
    limit.check("planning the restore")
    present = pruned(parted.entries, roles.absent)
    late = tables_to_load_late(present.entries) & {TableName.of(table) for table in parted.manifest.tables}
    schema = plan_schema(
        present.entries,
        table_bytes={TableName.of(table): table.plain for table in parted.manifest.tables},
        superuser=facts.superuser,
        foreign_roles=roles.foreign,
        rewritten=present.rewritten,
        partial=not parted.manifest.selection.everything,
        rows_late=bool(late),
    )
    assessment = Assessment(
        request=request,
        restore_id=restore_id_of(request.execution),
        chosen=chosen,
        place=place,
        facts=facts,
        roles=roles,
        said_of_roles=tuple(warnings_of_roles(archived, found, roles)),
        exists=exists,
        dump=dump,
        entries=present.entries,
        schema=replace(schema, left_out=(*schema.left_out, *present.left_out)),
        parted=parted,
        late=late,
        concurrency=concurrency,
        now=world.now(),
    )
    return write_plan(assessment, world)


def _look_at(connection: Connection, place: Place, into: str) -> tuple[ServerFacts, bool]:
    try:
        return server_facts(connection), database_exists(connection, into)
    except psycopg.Error as error:
        raise refused(error, doing=f"looking at the target {place}") from error


def _roles_there(connection: Connection, archived: RolesDocument) -> RolesDocument:
    try:
        return roles_named(connection, archived.by_name)
    except psycopg.Error as error:
        raise refused(error, doing="looking at the target's roles") from error


def _roles(parted: Parted, facts: ServerFacts, archived: RolesDocument) -> RolesNeeded:
    manifest, entries = parted.manifest, parted.entries
    owners = {entry.owner for entry in entries if entry.kind != "DATABASE"}
    owners |= set(manifest.large_objects.owners if manifest.large_objects else ())
    owners |= {grantor for entry in entries if entry.kind == "ACL" for grantor in grantors_of(entry.definition)}
    # Whoever owns the new database is its member there.
    named = {*manifest.roles, *owners}
    # A few tables are no reason to bring groups and members of their owners.
    around = () if parted.part.by_name else archived.by_name
    return roles_needed(facts, named=named, owners=owners - {DATABASE_OWNER}, around=around)


def _begin(request: RestoreRequest, world: World, chosen: Chosen, place: Place) -> None:
    """
    Take the target's lock, over from a run that has ended without giving it back.

    Whoever wants only the plan takes nothing and ends nothing, but is refused alike.
    """
    run = RestoreRun(
        id=restore_id_of(request.execution),
        database=request.database,
        point_id=chosen.point.id,
        into=request.into,
        target=str(place),
        state="running",
        started_at=request.execution_started_at,
        execution=request.execution,
    )
    begin = world.restores.refuse_taken if request.plan_only else world.restores.begin
    try:
        begin(run)
    except RestoreAlreadyRunning as error:
        other, execution = str(error.ids.get("restore", "")), str(error.ids.get("execution", ""))
        if world.executions.running(execution):
            raise
        if request.plan_only:
            return
        world.restores.end(other, state="failed", sentence="It ended without a report.", ended_at=world.now())
        world.restores.begin(run)
    if not request.plan_only:
        _refuse_expired(world, chosen)


def _refuse_expired(world: World, chosen: Chosen) -> None:
    """
    Look at the point once more, now that all can see that it is read: minutes may have passed since it was chosen.

    Retention looks the other way round: it lets a point expire, and sees then whether a restore reads it.
    """
    point = world.points.get(chosen.point.id)
    if point.state is PointState.EXPIRED:
        raise PointNotRestorable(
            f"The recovery point {point.id} expired while its restore was planned: {point.expired_why}",
            hint=f"Take another point; `holdfast points {point.database}` lists them.",
            point=point.id,
        )


def _refuse_occupied(place: Place, parted: Parted, facts: ServerFacts, into: str, limit: Limit) -> None:
    source = parted.manifest.source
    same_server = place.own_server or (
        source.system_identifier is not None and source.system_identifier == facts.system_identifier
    )
    doing = f"looking into the database {into}"
    with (
        connect(place.parameters.with_database(into), application_name=_NAME) as connection,
        limit.around(doing, connection),
    ):
        try:
            found = database_facts(connection)
        except psycopg.Error as error:
            raise refused(error, doing=doing) from error
    judging.refuse_occupied(
        into,
        found,
        encoding=source.encoding,
        source=same_server and into == source.database_name,
        partly=not parted.part.whole,
    )
