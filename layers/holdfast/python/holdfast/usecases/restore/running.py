"""Run slices in the target: each exactly once, in order, for as long as the invocation may last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from psycopg import errors

from holdfast.adapters.postgres.foreign_keys import checked_where_possible, left_unchecked
from holdfast.adapters.postgres.marks import check_owner, done_marks
from holdfast.adapters.postgres.schema_dump import text_of_dumps
from holdfast.adapters.postgres.scripts import SchemaDump, by_set_role, schema_dump
from holdfast.adapters.postgres.sending import RestoreSession
from holdfast.archive.reading import read_schema_dump
from holdfast.contracts.restoring import RestorePlan, SliceDocument
from holdfast.errors import ConstraintViolated, DatabaseBusy, StillWorking, UnexpectedState
from holdfast.usecases.restore.world import World

ATTEMPTS = 5
"""Two foreign keys built side by side may lock their tables crosswise; the server ends one of them."""
RESERVE_SECONDS = 20.0
"""What an invocation keeps to end properly."""


def run_slices(plan: RestorePlan, slices: Iterable[SliceDocument], world: World, *, doing: str) -> tuple[str, ...]:
    """
    Run those of *slices* that are not done yet, and return what the report has to tell about them.

    Raises `StillWorking` when the invocation's time is nearly up; the next one goes on from there.
    """
    wanted, notes = list(slices), list[str]()
    with RestoreSession(world.target(plan), encoding=text_of_dumps(plan.locale.encoding), doing=doing) as session:
        check_owner(session.connection, plan.restore_id)
        done = done_marks(session.connection, [document.mark for document in wanted])
        left = [document for document in wanted if document.mark not in done]
        with _open_dump(plan, left, world) as dump:
            for document in left:
                text = _text(document, dump, session, superuser=plan.superuser)
                try:
                    _run(session, document, text, world)
                except ConstraintViolated as error:
                    notes += _run_unchecked(session, document, text, world, dump=dump, error=error)
    return tuple(notes)


@contextmanager
def _open_dump(plan: RestorePlan, slices: Iterable[SliceDocument], world: World) -> Iterator[SchemaDump | None]:
    """Fetch the schema dump, if any of *slices* needs it."""
    if any(document.entries for document in slices):
        with schema_dump(read_schema_dump(world.archive, world.manifest(plan))) as dump:
            yield dump
    else:
        yield None


def _run(session: RestoreSession, document: SliceDocument, text: bytes, world: World) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        seconds = world.seconds_left() - RESERVE_SECONDS
        if seconds <= 0:
            raise StillWorking(f"There was no time left for {document.what}.")
        try:
            session.run_once(document.mark, text, seconds=seconds, what=document.what)
            return
        except DatabaseBusy as error:
            if attempt == ATTEMPTS or not isinstance(error.__cause__, errors.DeadlockDetected):
                raise


def _run_unchecked(
    session: RestoreSession,
    document: SliceDocument,
    text: bytes,
    world: World,
    *,
    dump: SchemaDump | None,
    error: ConstraintViolated,
) -> list[str]:
    """Run foreign keys that rows break without checking those; raises *error* when it is about anything else."""
    if dump is None or not isinstance(error.__cause__, errors.ForeignKeyViolation):
        raise error
    entries = dump.entries(document.entries)
    try:
        _run(session, document, checked_where_possible(text, entries), world)
    except UnexpectedState:
        # Before PostgreSQL 18, those of partitioned tables must be checked.
        raise error from error.__cause__
    return list(left_unchecked(session.connection, entries))


def _text(document: SliceDocument, dump: SchemaDump | None, session: RestoreSession, *, superuser: bool) -> bytes:
    own = "".join(f"{statement};\n" for statement in document.statements).encode(session.connection.info.encoding)
    if not document.entries or dump is None:
        return own
    script = dump.script(document.entries, unowned=document.unowned)
    spoken = session.connection.info.parameter_status("client_encoding")
    if script.encoding != spoken:
        raise UnexpectedState(f"The schema dump is in {script.encoding}, not in {spoken} like the session.")
    # Grants hold no text of others that could look like these statements.
    grants = document.mark.startswith("grants/") and not superuser
    return (by_set_role(script.text) if grants else script.text) + own
