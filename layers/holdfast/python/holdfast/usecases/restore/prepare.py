"""Create the database and run the schema's definitions up to the rows."""

from __future__ import annotations

from contextlib import suppress

import psycopg
from psycopg import errors

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.contents import database_facts
from holdfast.adapters.postgres.marks import check_owner, create_marks, restore_of
from holdfast.adapters.postgres.sending import connect_to_restore, refused
from holdfast.adapters.postgres.target import create_database, database_exists, join_roles
from holdfast.contracts.restore import Prepared, PrepareRequest
from holdfast.contracts.restoring import RestorePlan
from holdfast.usecases.restore import judging
from holdfast.usecases.restore.following import reserve
from holdfast.usecases.restore.objects import create_large_objects
from holdfast.usecases.restore.roles import archived_roles, create_missing
from holdfast.usecases.restore.running import run_slices
from holdfast.usecases.restore.targets import connect_to_server, place_from
from holdfast.usecases.restore.world import World

SECONDS_EACH = 60.0
"""How long one invocation goes on with further slices; the state machine counts invocations."""


def prepare(request: PrepareRequest, world: World) -> Prepared:
    """
    Run slices from `request.slice` on, and create roles and database before the first; may be repeated.

    Raises `TargetNotEmpty` when somebody put something into the database since it was assessed.
    """
    plan = world.plan(request.restore_id)
    if request.slice == 0:
        _create(plan, world)
    started, at, least = world.now(), request.slice, 2 * reserve(world)
    with world.counting(plan.restore_id, f"prepare-{at}"):
        while at < len(plan.before):
            _run(plan, at, world)
            at += 1
            if (world.now() - started).total_seconds() > SECONDS_EACH or world.seconds_left() < least:
                break
    return Prepared(restore_id=plan.restore_id, slice=at, done=at >= len(plan.before))


def _run(plan: RestorePlan, at: int, world: World) -> None:
    document = plan.before[at]
    if document.listed:
        create_large_objects(plan, document.mark, document.listed, world)
    else:
        run_slices(plan, [document], world, stage="prepare", batch=at)


def _create(plan: RestorePlan, world: World) -> None:
    place, archived = place_from(plan, world.secrets), archived_roles(world.manifest(plan), world.archive)
    with connect_to_server(place, application_name="holdfast restore prepare") as connection:
        try:
            create_missing(connection, plan, archived)
            join_roles(connection, plan.roles_to_join)
            if not database_exists(connection, plan.into):
                create_database(connection, plan.into, plan.locale)
        except psycopg.Error as error:
            raise refused(error, doing=f"creating the database {plan.into}") from error
    patience = plan.part.lock_timeout
    with connect_to_restore(world.target(plan), doing="prepare", lock_timeout=patience) as connection:
        try:
            _mark(connection, plan)
        except psycopg.Error as error:
            raise refused(error, doing=f"preparing the database {plan.into}") from error


def _mark(connection: Connection, plan: RestorePlan) -> None:
    """
    Take possession of the database, which must be empty or ours already, unless only rows are restored.

    What lies in it is read before whose it is: another invocation may be marking it for this very restore.
    """
    facts = database_facts(connection)
    if restore_of(connection) is None:
        if not plan.part.rows_only:
            judging.refuse_occupied(plan.into, facts, encoding=plan.locale.encoding, source=False)
        # It exists when an earlier attempt's statement ended after its sender; whose it is, is checked next.
        with suppress(errors.DuplicateSchema, errors.UniqueViolation):
            create_marks(connection, plan.restore_id)
    check_owner(connection, plan.restore_id)
