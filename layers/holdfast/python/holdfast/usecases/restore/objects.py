"""Restore large objects from their list: create them, then describe them in transactions of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.marks import check_owner, take
from holdfast.adapters.postgres.restored_objects import (
    DESCRIBED_AT_ONCE,
    Restorer,
    create_objects,
    description,
    groups_to_describe,
    list_target,
)
from holdfast.adapters.postgres.sending import connect_to_restore, refused
from holdfast.contracts.manifest import Chunk
from holdfast.contracts.restoring import RestorePlan, SliceDocument
from holdfast.usecases.restore.fetching import ahead
from holdfast.usecases.restore.load import copy_chunk, wanted_chunk
from holdfast.usecases.restore.world import World


def restorer_of(plan: RestorePlan) -> Restorer:
    """Return the role that restores, and for whom it may not act."""
    return Restorer(plan.role, plan.superuser, frozenset(plan.roles_foreign))


def create_large_objects(plan: RestorePlan, mark: str, chunk: Chunk, world: World) -> None:
    """Load a chunk of the list and create its objects, in one transaction; may be repeated."""
    manifest = world.manifest(plan)
    assert manifest.large_objects is not None  # noqa: S101  # the chunk is of their list
    wanted = wanted_chunk(plan, manifest.large_objects.listed, chunk)
    try:
        with connect_to_restore(world.target(plan), doing="prepare", lock_timeout=plan.part.lock_timeout) as connection:
            check_owner(connection, plan.restore_id)
            with connection.transaction():
                if take(connection, mark):
                    target = list_target(manifest.settings["client_encoding"])
                    copy_chunk(connection, wanted, target, ahead(wanted.rows(world.archive)))
                    create_objects(connection, chunk.first_block, chunk.end_block, by=restorer_of(plan))
    except psycopg.Error as error:
        raise refused(error, doing=f"creating {chunk.rows} large objects") from error


def with_descriptions(
    documents: Iterable[SliceDocument], connection: Connection, plan: RestorePlan
) -> Iterator[SliceDocument]:
    """
    Yield the documents with one for each group of large objects in place of one for a range of them.

    How many need a description only their list knows, which has been loaded by then and does not change.
    """
    by = restorer_of(plan)
    for document in documents:
        if document.described is None:
            yield document
            continue
        first, end = document.described
        groups = groups_to_describe(connection, first, end, by=by)
        for group in range(groups):
            yield SliceDocument(
                mark=f"{document.mark}-{group:04d}",
                what=f"owners of {DESCRIBED_AT_ONCE} large objects from {first} on",
                statements=(description(first, end, group, by=by),),
            )
