"""Copy the ranges of one batch, for as long as the invocation may last; the next one goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.copying import DIVISION_BY_ZERO, CopySession, has_positions, position_query, range_query
from holdfast.adapters.postgres.quoting import qualified
from holdfast.archive.writing import ChunkWriter
from holdfast.contracts.backup import DumpRequest
from holdfast.contracts.documents import DumpBatch, DumpProgress, RangePlan, RangeResult
from holdfast.errors import BackupIncomplete, HoldfastError, RowTooLong, SchemaChanged, StillWorking, Transient
from holdfast.model.keys import RunKeys
from holdfast.model.sessions import session_name
from holdfast.model.tables import BlockRange
from holdfast.ports.storage import Scratch

STAGE = "dump"
RESERVE_SECONDS = 60.0
"""What an invocation keeps to store what it has read, and to write that down."""
RESERVE_SHARE = 0.2
"""Of a short invocation, in place of those seconds."""
MOST_FRUITLESS = 3
TOGETHER = 50
"""Small ranges that are asked for in one message."""
SMALL_BYTES = 1 << 20
_TOO_LONG = {"54000", "XX000"}
"""A buffer that would exceed 1 GB, and a value whose text would."""


class BatchCopy:
    """
    What copying the ranges of a batch needs; one object serves one invocation.

    Progress is what whole chunks hold: a range that was begun goes on with the row behind its last chunk. So the
    chunks are those of a copy that nothing interrupted, and an invocation that ends early costs one chunk.
    """

    def __init__(
        self,
        request: DumpRequest,
        batch: DumpBatch,
        *,
        parameters: ConnectionParameters,
        scratch: Scratch,
        writer: Callable[[], ChunkWriter],
        seconds_left: Callable[[], float],
    ) -> None:
        self._request, self._batch, self._parameters, self._scratch = request, batch, parameters, scratch
        self._writer, self._seconds_left = writer, seconds_left
        self._reserve = min(RESERVE_SECONDS, RESERVE_SHARE * seconds_left())
        self._key = RunKeys("backup", request.run).progress(STAGE, request.batch)

    def run(self, snapshot: str, server: str = "") -> tuple[RangeResult, ...]:
        """
        Copy what is left under *snapshot* of *server*, through one psql.

        Nothing of a range counts before every chunk is stored.

        Raises `StillWorking` when time is up, with all that was done written down; so it is when a connection
        breaks. Raises `BackupIncomplete` when three invocations in a row brought nothing, `SchemaChanged` when the
        name of a table leads to another one.
        """
        before = self._before()
        writer = self._writer()
        with writer, self._session(snapshot, server) as session:
            try:
                session.open()
                self._copy(session, writer, before)
                session.close()
            except Transient as error:
                onward = self._keep(before, *writer.progress(), fruitless=isinstance(error, StillWorking))
                if onward and not isinstance(error, StillWorking):
                    # The machine counts what goes wrong for a batch's whole life: ten resets in a day are no fault.
                    raise StillWorking(f"{error.message} What was copied before counts.") from error
                raise
            except HoldfastError as error:
                if error.ids.get("sqlstate") == DIVISION_BY_ZERO:
                    raise SchemaChanged("A schema was renamed: a table's name leads to another table.") from error
                if error.ids.get("sqlstate") in _TOO_LONG:
                    again = partial(self._session, snapshot, server)
                    raise self._too_long(again, before, *writer.progress(), error) from error
                raise
            return before.ranges + writer.results()

    def _session(self, snapshot: str, server: str) -> CopySession:
        return CopySession(
            self._parameters,
            snapshot,
            server=server,
            settings=self._batch.settings,
            application_name=session_name("dump", self._request.point_id),
            seconds_left=lambda: self._seconds_left() - self._reserve,
        )

    def _before(self) -> DumpProgress:
        """
        Return what earlier invocations did for the same plan, under the same snapshot, range by range.

        Anything else is as good as nothing: rows of another snapshot never count, and those of another plan's ranges
        would be taken for the rows of these.
        """
        nothing = DumpProgress(plan=self._batch.plan, taken_at=self._batch.taken_at)
        body = self._scratch.read(self._key)
        progress = DumpProgress.model_validate_json(body) if body else nothing
        return progress if _of(self._batch, progress) else nothing

    def _copy(self, session: CopySession, writer: ChunkWriter, before: DumpProgress) -> None:
        left = self._batch.ranges[len(before.ranges) :]
        if before.begun:
            self._go_on(session, writer, left[0], before.begun)
            left = left[1:]
        for group in together(left):
            session.ask(range_query(plan) for plan in group)
            for plan in group:
                writer.write(plan, session.answer(what=described(plan)))

    def _go_on(self, session: CopySession, writer: ChunkWriter, plan: RangePlan, begun: RangeResult) -> None:
        """Copy the rest of a range of which an earlier invocation stored the first chunks."""
        start = _position(session, plan, sum(chunk.rows for chunk in begun.chunks))
        pieces = session.rows(range_query(plan, start), what=described(plan)) if start else iter(())
        writer.write(plan, pieces, begun)

    def _keep(
        self, before: DumpProgress, done: tuple[RangeResult, ...], begun: RangeResult | None, *, fruitless: bool
    ) -> bool:
        """Write down what is done now; answer whether that is more than *before*."""
        ranges = before.ranges + done
        # A range that was begun and not even reached is as it was.
        begun = begun or (before.begun if not done else None)
        plan = self._batch.ranges[len(ranges)] if len(ranges) < len(self._batch.ranges) else None
        if begun and (plan is None or not has_positions(plan)):
            begun = None
        unchanged = (ranges, begun) == (before.ranges, before.begun)
        count = before.fruitless + fruitless if unchanged else 0
        progress = before.model_copy(update={"ranges": ranges, "begun": begun, "fruitless": count})
        if progress != before:
            self._scratch.write(self._key, progress.model_dump_json().encode())
        if count >= MOST_FRUITLESS and plan:
            raise BackupIncomplete(
                f"{count} invocations in a row could not read one chunk more of {described(plan)}.",
                hint="Find out what makes the server or the way to it so slow, or give functions.timeout_seconds more.",
            )
        return not unchanged

    def _too_long(
        self,
        again: Callable[[], CopySession],
        before: DumpProgress,
        done: tuple[RangeResult, ...],
        begun: RangeResult | None,
        error: HoldfastError,
    ) -> HoldfastError:
        """Return the error that names the row at which the server failed: the one behind all that it had sent."""
        plan = self._batch.ranges[len(before.ranges) + len(done)]
        sent = sum(chunk.rows for chunk in begun.chunks) if begun else 0
        left = error.ids.get("rows_read", 0)
        where = ""
        if has_positions(plan) and isinstance(left, int):
            with again() as session:
                session.open()
                where = _position(session, plan, sent + left)
        table = qualified(plan.schema_name, plan.name)
        found = f"SELECT … FROM {table} WHERE ctid = '{where}' finds it" if where else "Find it"  # noqa: S608  # for people
        return RowTooLong(
            f"A row of {table} cannot be written as text: it would be longer than 1 GB, or is damaged (ctid "
            f"{where or 'unknown'}; the server reported {error.ids['sqlstate']}).",
            hint=f"{found}: split, shrink or remove its largest value.",
            sqlstate=error.ids["sqlstate"],
        )


def together(plans: Sequence[RangePlan]) -> Iterator[Sequence[RangePlan]]:
    """Yield *plans* in groups that are asked for at once: small ones side by side, each large one alone."""
    group: list[RangePlan] = []
    for plan in plans:
        small = plan.bytes <= SMALL_BYTES
        if group and (not small or len(group) == TOGETHER):
            yield group
            group = []
        if small:
            group.append(plan)
        else:
            yield [plan]
    if group:
        yield group


def described(plan: RangePlan) -> str:
    """Return the range as people read it, for errors."""
    return f"{plan.schema_name}.{plan.name} ({BlockRange(plan.first_block, plan.end_block)})"


def _of(batch: DumpBatch, progress: DumpProgress) -> bool:
    """Answer whether *progress* is that of *batch*: of its plan, its snapshot and the first of its ranges."""
    done = (*progress.ranges, *([progress.begun] if progress.begun else []))
    same = (progress.plan, progress.taken_at) == (batch.plan, batch.taken_at)
    fits = len(done) <= len(batch.ranges)
    return same and fits and all(one.is_of(plan) for one, plan in zip(done, batch.ranges, strict=False))


def _position(session: CopySession, plan: RangePlan, skipped: int) -> str:
    """Return the place of the range's row after the first *skipped*; nothing when there are no more."""
    query = position_query(plan, skipped)
    return b"".join(map(bytes, session.rows(query, what=f"{described(plan)} again"))).decode().strip()
