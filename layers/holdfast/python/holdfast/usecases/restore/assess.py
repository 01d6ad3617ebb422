"""Assess a restore: everything that can refuse it does so here, before anything in the target is touched."""

from __future__ import annotations

import psycopg

from holdfast.adapters.postgres.checks import client_version
from holdfast.adapters.postgres.connect import Connection, connect
from holdfast.adapters.postgres.contents import database_facts
from holdfast.adapters.postgres.roles import roles_named
from holdfast.adapters.postgres.sending import refused
from holdfast.adapters.postgres.target import ServerFacts, database_exists, server_facts
from holdfast.archive.reading import read_schema_dump
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.restore import Assessed, RestoreRequest
from holdfast.contracts.roles import RolesDocument
from holdfast.errors import PointNotRestorable, RestoreAlreadyRunning
from holdfast.model.comparing import DATABASE_OWNER
from holdfast.model.database_entries import grantors_of
from holdfast.model.restoring import plan_schema
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry, read_toc
from holdfast.ports.catalogue import RestoreRun
from holdfast.usecases.restore import judging
from holdfast.usecases.restore.choosing import Chosen, authenticate, choose_point
from holdfast.usecases.restore.naming import restore_id_of
from holdfast.usecases.restore.planning import Assessment, write_plan
from holdfast.usecases.restore.privileges import RolesNeeded, roles_needed
from holdfast.usecases.restore.roles import archived_roles, warnings_of_roles
from holdfast.usecases.restore.targets import Place, configured_database, connect_to_server, place_of
from holdfast.usecases.restore.world import World

_NAME = "holdfast restore assess"


def assess(request: RestoreRequest, world: World) -> Assessed:
    """
    Return the plan's pointers when the restore may begin; may be repeated.

    Raises `UnknownDatabase`, `UnknownPoint`, `PointNotRestorable`, `SignatureInvalid`, `ArchiveDamaged`,
    `RestoreAlreadyRunning`, `TargetNotEmpty`, `TargetIncompatible`, and what connecting raises.
    """
    judging.refuse_reserved(request.into)
    database = configured_database(world.configuration, request.database)
    chosen = authenticate(world.archive, world.signer, choose_point(world.points, request.database, request.point))
    if chosen.manifest.schema_dump is None:
        raise PointNotRestorable(
            f"The recovery point {chosen.point.id} holds rows, but no definitions.",
            hint="Take a full one, or follow its RESTORE.md.",
            point=chosen.point.id,
        )
    place = place_of(world.configuration, world.secrets, database, request.target_secret)
    entries = read_toc(read_schema_dump(world.archive, chosen.manifest))
    archived = archived_roles(chosen.manifest, world.archive)
    with connect_to_server(place, application_name=_NAME) as connection:
        facts, exists = _look_at(connection, place, request.into)
        found = _roles_there(connection, archived)
    roles = _roles(chosen.manifest, entries, facts, archived)
    client_major = int(client_version().split(".")[0])
    judging.refuse_incompatible(
        chosen.manifest, facts, roles, exists=exists, client_major=client_major, entries=entries
    )
    concurrency = judging.workers(facts, most=database.concurrency)
    _begin(request, world, chosen, place)
    if exists:
        _refuse_occupied(place, chosen, facts, request.into)
    schema = plan_schema(
        entries,
        table_bytes={TableName(table.schema_name, table.name): table.plain for table in chosen.manifest.tables},
        superuser=facts.superuser,
        foreign_roles=roles.foreign,
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
        entries=entries,
        schema=schema,
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


def _roles(
    manifest: Manifest, entries: tuple[TocEntry, ...], facts: ServerFacts, archived: RolesDocument
) -> RolesNeeded:
    owners = {entry.owner for entry in entries if entry.kind != "DATABASE"}
    owners |= set(manifest.large_objects.owners if manifest.large_objects else ())
    owners |= {grantor for entry in entries if entry.kind == "ACL" for grantor in grantors_of(entry.definition)}
    # Whoever owns the new database is its member there.
    named = {*manifest.roles, *owners}
    return roles_needed(facts, named=named, owners=owners - {DATABASE_OWNER}, around=archived.by_name)


def _begin(request: RestoreRequest, world: World, chosen: Chosen, place: Place) -> None:
    """Take the target's lock, over from a run that has ended without giving it back."""
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
    try:
        world.restores.begin(run)
    except RestoreAlreadyRunning as error:
        other, execution = str(error.ids.get("restore", "")), str(error.ids.get("execution", ""))
        if world.executions.running(execution):
            raise
        world.restores.end(other, state="failed", sentence="It ended without a report.", ended_at=world.now())
        world.restores.begin(run)


def _refuse_occupied(place: Place, chosen: Chosen, facts: ServerFacts, into: str) -> None:
    source = chosen.manifest.source
    same_server = place.own_server or (
        source.system_identifier is not None and source.system_identifier == facts.system_identifier
    )
    with connect(place.parameters.with_database(into), application_name=_NAME) as connection:
        try:
            found = database_facts(connection)
        except psycopg.Error as error:
            raise refused(error, doing=f"looking into the database {into}") from error
    judging.refuse_occupied(into, found, encoding=source.encoding, source=same_server and into == source.database_name)
