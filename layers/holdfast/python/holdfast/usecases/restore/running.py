"""Run slices in the target: each exactly once, in order, for as long as the invocation may last."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import errors

from holdfast.adapters.postgres.marks import check_owner, done_marks
from holdfast.adapters.postgres.scripts import SchemaDump, schema_dump
from holdfast.adapters.postgres.sending import RestoreSession
from holdfast.archive.reading import read_object
from holdfast.contracts.restoring import RestorePlan, SliceDocument
from holdfast.errors import DatabaseBusy, UnexpectedState
from holdfast.usecases.restore.world import World

ATTEMPTS = 5
"""Two foreign keys built side by side may lock their tables crosswise; the server ends one of them."""
RESERVE_SECONDS = 20.0
"""What an invocation keeps to end properly."""


def run_slices(plan: RestorePlan, slices: Iterable[SliceDocument], world: World, *, doing: str) -> None:
    """
    Run those of *slices* that are not done yet.

    Raises `DatabaseBusy` when the invocation's time is nearly up; the next one goes on from there.
    """
    wanted = list(slices)
    with RestoreSession(world.target(plan), encoding=plan.locale.encoding, doing=doing) as session:
        check_owner(session.connection, plan.restore_id)
        done = done_marks(session.connection, [document.mark for document in wanted])
        left = [document for document in wanted if document.mark not in done]
        if not any(document.entries for document in left):
            _run_all(session, left, None, world)
        else:
            with schema_dump(read_object(world.archive, world.manifest(plan).schema_dump)) as dump:
                _run_all(session, left, dump, world)


def _run_all(session: RestoreSession, slices: Iterable[SliceDocument], dump: SchemaDump | None, world: World) -> None:
    for document in slices:
        text = _text(document, dump, session)
        for attempt in range(1, ATTEMPTS + 1):
            seconds = world.seconds_left() - RESERVE_SECONDS
            if seconds <= 0:
                raise DatabaseBusy(
                    f"There was no time left for {document.what}.", hint="Holdfast goes on from there by itself."
                )
            try:
                session.run_once(document.mark, text, seconds=seconds, what=document.what)
                break
            except DatabaseBusy as error:
                if attempt == ATTEMPTS or not isinstance(error.__cause__, errors.DeadlockDetected):
                    raise


def _text(document: SliceDocument, dump: SchemaDump | None, session: RestoreSession) -> bytes:
    own = "".join(f"{statement};\n" for statement in document.statements).encode(session.connection.info.encoding)
    if not document.entries or dump is None:
        return own
    script = dump.script(document.entries)
    spoken = session.connection.info.parameter_status("client_encoding")
    if script.encoding != spoken:
        raise UnexpectedState(f"The schema dump is in {script.encoding}, not in {spoken} like the database.")
    return script.text + own
