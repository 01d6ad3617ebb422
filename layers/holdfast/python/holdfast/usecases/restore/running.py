"""Run slices in the target: each exactly once, in order, for as long as the invocation may last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast.adapters.postgres.foreign_keys import checked_where_possible, left_unchecked
from holdfast.adapters.postgres.marks import check_owner, count_attempt, done_marks, forget_attempt
from holdfast.adapters.postgres.memory import lend_memory, spare_memory
from holdfast.adapters.postgres.schema_dump import text_of_dumps
from holdfast.adapters.postgres.scripts import SchemaDump, by_set_role, schema_dump
from holdfast.adapters.postgres.sending import RestoreSession, refusing
from holdfast.contracts.restoring import RestorePlan, SliceDocument
from holdfast.errors import (
    ConstraintViolated,
    ContentRefused,
    DatabaseBusy,
    HoldfastError,
    StillWorking,
    TargetIncompatible,
    Transient,
    UnexpectedState,
)
from holdfast.model.keys import RunKeys
from holdfast.model.slices import Way
from holdfast.model.toc import TocEntry, read_toc
from holdfast.usecases.restore.following import Follower
from holdfast.usecases.restore.objects import with_descriptions
from holdfast.usecases.restore.world import World

DEADLOCKS = 5
"""Two foreign keys built side by side may lock their tables crosswise; the server ends one of them."""
MOST_ATTEMPTS = 12
"""After so many sessions that were lost, the next one would be lost, too."""
CAREFREE_ATTEMPTS = 2
_DEADLOCK = "40P01"
_LOCKED = "55P03"
_FOREIGN_KEY = "23503"
_UNREADY = "55000"
_OF_THE_SERVER = ("08", "53", "57", "58", "XX")
"""Classes of errors that say nothing of a view's own query."""


def run_slices(
    plan: RestorePlan, slices: Iterable[SliceDocument], world: World, *, stage: str, batch: int = 0
) -> tuple[str, ...]:
    """
    Run those of *slices* that are not done yet, and return what the report has to tell about them.

    Raises `StillWorking` when the invocation's time is nearly up; the next one goes on from there.
    """
    notes = list[str]()
    follower = Follower(plan, world, stage=stage, batch=batch)
    encoding = text_of_dumps(plan.locale.encoding)
    patience = plan.part.lock_timeout
    with (
        refusing(f"working on {stage}"),
        RestoreSession(world.target(plan), encoding=encoding, doing=stage, lock_timeout=patience) as session,
    ):
        check_owner(session.connection, plan.restore_id)
        wanted = list(with_descriptions(slices, session.connection, plan))
        follower.await_others(session.connection, wanted)
        done = done_marks(session.connection, [document.mark for document in wanted])
        left = [document for document in wanted if document.mark not in done]
        for document in left:
            with _open_dump(plan, document, world) as dump:
                notes += _Runner(plan, session, follower, dump, plan.beside(stage)).run(document)
        if checked := [document for document in wanted if _checks_foreign_keys(document)]:
            # Also what an earlier invocation left so.
            notes += left_unchecked(session.connection, _entries_of(plan, checked, world))
    follower.end()
    return tuple(notes)


def _checks_foreign_keys(document: SliceDocument) -> bool:
    return document.mark.startswith("foreign-key") and document.way is not Way.UNCHECKED


@contextmanager
def _open_dump(plan: RestorePlan, document: SliceDocument, world: World) -> Iterator[SchemaDump | None]:
    """Fetch the slice's part of the schema dump, if it needs any."""
    if document.entries:
        with schema_dump(_definitions(plan, document, world)) as dump:
            yield dump
    else:
        yield None


def _entries_of(plan: RestorePlan, slices: Iterable[SliceDocument], world: World) -> Iterator[TocEntry]:
    for document in slices:
        numbers = set(document.entries)
        entries = read_toc(_definitions(plan, document, world)) if numbers else ()
        yield from (entry for entry in entries if entry.number in numbers)


def _definitions(plan: RestorePlan, document: SliceDocument, world: World) -> bytes:
    return world.read_bytes(plan.restore_id, RunKeys("restore", plan.restore_id).definitions(document.mark))


@dataclass(frozen=True, slots=True)
class _Runner:
    """Runs slices in one session."""

    plan: RestorePlan
    session: RestoreSession
    follower: Follower
    dump: SchemaDump | None
    beside: int

    def run(self, document: SliceDocument) -> Sequence[str]:
        """Run *document* once, and return what there is to know about it."""
        text = self._text(document)
        try:
            if document.lasting:
                self.session.raise_failure(document.mark, what=document.what)
            self._send(document, text)
        except HoldfastError as error:
            if isinstance(error, ConstraintViolated) and document.when_unready == "fail":
                self._run_unchecked(document, text, error)
                return ()
            if document.when_unready == "fail" or not _is_of_query(error):
                raise
            return (_left_empty(document, error),) if document.when_unready == "tell" else ()
        return ()

    def _count(self, document: SliceDocument) -> None:
        """Count the attempt, and settle by that what the session may take; raises when too many were lost."""
        attempts = count_attempt(self.session.connection, document.mark)
        if attempts > MOST_ATTEMPTS:
            raise TargetIncompatible(
                f"The server has ended each of {MOST_ATTEMPTS} sessions that worked on {document.what}.",
                hint="Its log tells why; it may lack memory or disk. Give it more, and restore again.",
            )
        if attempts > CAREFREE_ATTEMPTS:
            spare_memory(self.session.connection)
        elif not self.plan.own_server:
            # On the source's own server, the memory is the application's.
            lend_memory(self.session.connection, beside=self.beside)

    def _send(self, document: SliceDocument, text: bytes) -> None:
        for attempt in range(1, DEADLOCKS + 1):
            if self.follower.seconds <= 0:
                raise StillWorking(f"There was no time left for {document.what}.")
            if document.lasting and attempt == 1:
                self._count(document)
            try:
                self.session.run_once(
                    document.mark,
                    text,
                    wait=lambda ended: self.follower.await_end(ended, document),
                    what=document.what,
                    lasting=document.lasting,
                )
                return
            except DatabaseBusy as error:
                if document.lasting and error.ids.get("sqlstate") == _LOCKED:
                    # Others were in the way, and the session was none that was lost.
                    forget_attempt(self.session.connection, document.mark)
                if attempt == DEADLOCKS or error.ids.get("sqlstate") != _DEADLOCK:
                    raise

    def _run_unchecked(self, document: SliceDocument, text: bytes, error: ConstraintViolated) -> None:
        """Run foreign keys that rows break without checking those; raises *error* when it is about anything else."""
        if self.dump is None or error.ids.get("sqlstate") != _FOREIGN_KEY:
            raise error
        entries = self.dump.entries(document.entries)
        possible = b"" if document.way is Way.CHECK else checked_where_possible(text, entries)
        try:
            self._send(document, possible)
        except (ContentRefused, UnexpectedState):
            # Before PostgreSQL 18, those of partitioned tables must be checked.
            raise error from error.__cause__

    def _text(self, document: SliceDocument) -> bytes:
        connection = self.session.connection
        # Names in a database without an encoding are UTF-8 too, or its backup was refused.
        own = "".join(f"{statement};\n" for statement in document.statements).encode()
        if not document.entries or self.dump is None:
            return own
        script = self.dump.script(document.entries, unowned=document.unowned, way=document.way)
        spoken = connection.info.parameter_status("client_encoding")
        if script.encoding != spoken:
            raise UnexpectedState(f"The schema dump is in {script.encoding}, not in {spoken} like the session.")
        # Grants hold no text of others that could look like these statements.
        grants = document.mark.startswith("grants/") and not self.plan.superuser
        return (by_set_role(script.text) if grants else script.text) + own


def _is_of_query(error: HoldfastError) -> bool:
    """Tell whether *error* is one of a view's own query, which the next attempt would meet again."""
    code = str(error.ids.get("sqlstate", ""))
    return bool(code) and not isinstance(error, Transient) and not code.startswith(_OF_THE_SERVER)


def _left_empty(document: SliceDocument, error: HoldfastError) -> str:
    code = error.ids.get("sqlstate")
    if code == _UNREADY:
        return f"The {document.what} is empty: it reads one that has no rows, in the source as here."
    return (
        f"The {document.what} is empty: its query fails here with {code}. Mend it, and run REFRESH MATERIALIZED VIEW."
    )
