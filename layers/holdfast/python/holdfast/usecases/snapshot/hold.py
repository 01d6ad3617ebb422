"""
Hold the snapshot of a backup open, and hand it on before time is up.

A holder that runs out of time answers its task, the state machine starts its successor, and only when that
has published the snapshot anew does this one let go: at every moment somebody holds the locks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.waiting import Waiter
from holdfast.contracts.backup import HoldAnswer, HoldRequest
from holdfast.errors import BackupYielded, HoldfastError, SchemaChanged, SnapshotLost, Transient
from holdfast.model.points import PointState
from holdfast.ports.catalogue import Hold, Holds, Points
from holdfast.ports.executions import Executions
from holdfast.usecases.snapshot.access import outdated
from holdfast.usecases.snapshot.noticing import SchemaWatch
from holdfast.usecases.snapshot.opening import Clock, Opening
from holdfast.usecases.snapshot.patience import Result, patiently
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.watching import LOOK_SECONDS, Watch, end_orphans, yielded

__all__ = ["Clock", "Holder", "hold_snapshot"]

PING_SECONDS = 10
"""How often a holder shows catalogue and state machine that it lives, and hears whether anybody still waits for it."""
POLLS = ((30, 0.5), (float("inf"), float(LOOK_SECONDS)))
"""How often a holder looks whether the backup is over, by its age: two seconds matter little to a long one."""
HAND_OVER_SECONDS = 240
"""Time left when the successor is asked for: it has to start, connect and lock."""
LAST_SECONDS = 15
"""Time left when a holder lets go even without a successor; its function would be killed anyway."""
HAND_OVER_SHARE, LAST_SHARE = 2 / 3, 1 / 20
"""The same as shares of the whole time, for functions with little of it."""


class Holder:
    """One generation of the hold on one point's snapshot."""

    def __init__(
        self,
        request: HoldRequest,
        *,
        protected: Protected,
        points: Points,
        holds: Holds,
        executions: Executions,
        clock: Clock,
    ) -> None:
        self._request, self._protected = request, protected
        self._points, self._holds, self._executions, self._clock = points, holds, executions, clock
        self._hand_over_at = min(HAND_OVER_SECONDS, clock.seconds_left() * HAND_OVER_SHARE)
        self._last_at = min(LAST_SECONDS, clock.seconds_left() * LAST_SHARE)
        self._opening = Opening(
            request, protected=protected, points=points, holds=holds, executions=executions, clock=clock
        )
        self._watch = Watch(request.point_id, patience=protected.yield_after_seconds, clock=clock)
        self._asked = self._answered = False
        self._gave_way = False
        self._published: Hold | None = None

    def run(self) -> HoldAnswer:
        """
        Hold until the backup is over, a successor holds, or nobody waits any more; answer the task token.

        An error of any kind is the task's answer too, and comes out of here. When nobody waits for the token
        (a repeated invocation), nothing is opened; when another invocation of this generation holds already,
        the token is its own to answer.
        """
        try:
            opened = self._opening.open()
            if opened is None:
                return HoldAnswer(released=False, generation=self._request.generation)
            self._published = opened.hold
            with opened.session as session, closing(SchemaWatch(self._protected, opened.hold)) as schema:
                return self._keep(session, schema)
        except Exception as error:
            if isinstance(error, BackupYielded):
                self._end_hold()  # the next attempt publishes its own
            self._fail(error)
            if not self._gave_way:  # whoever gave way has ended them
                self._end_orphans()
            raise

    def _fail(self, error: Exception) -> None:
        """
        Answer the token with *error*; when that was answered already, the point itself says what happened.

        Otherwise the successor, who may still be waiting for its locks, or the seal would have to find out.
        """
        # The text of an error that is not ours may hold anything.
        ours = isinstance(error, HoldfastError)
        cause = str(error) if ours else "The holder of the snapshot met an error that nobody thought of."
        told = False
        if not self._answered:
            with suppress(Transient):
                told = self._patiently(
                    lambda: self._executions.fail(self._request.task_token, type(error).__name__, cause)
                )
        # An attempt that gave way fails no point: its successor, who hears of it, says so for both.
        if self._asked and not told and not isinstance(error, BackupYielded):
            with suppress(HoldfastError):
                self._fail_point(cause)

    def _patiently(self, call: Callable[[], Result]) -> Result:
        return patiently(self._clock.sleep, call)

    def _end_orphans(self) -> None:
        """End the workers of a snapshot that is lost."""
        with suppress(HoldfastError):
            if self._published and not self._somebody_else_holds():
                end_orphans(self._protected.parameters, self._request.point_id)

    def _somebody_else_holds(self) -> bool:
        """Answer whether a successor holds, or, for one that was frozen for long, the next attempt."""
        current = self._patiently(lambda: self._holds.current(self._request.point_id))
        return current is not None and (self._published is None or current.snapshot != self._published.snapshot)

    def _end_hold(self) -> None:
        """Forget the hold, if it is the one that was published here."""
        with suppress(Transient):
            if self._published and not self._somebody_else_holds():
                self._patiently(lambda: self._holds.end(self._request.point_id))

    def _fail_point(self, cause: str) -> None:
        point_id = self._request.point_id
        point = self._patiently(lambda: self._points.get(point_id))
        if point.state is PointState.CAPTURING and not self._somebody_else_holds():
            self._patiently(lambda: self._points.advance(point_id, PointState.FAILED, failure=cause))

    def _keep(self, session: Connection, schema: SchemaWatch) -> HoldAnswer:
        opened = pinged = self._clock.now()
        while not (reason := self._reason_to_end()):
            if (waiter := self._watch.look(session)) and self._give_way(session, waiter):
                break
            if schema.changed:
                self._refuse_outdated(session, schema.changed)
            if (self._clock.now() - pinged).total_seconds() >= PING_SECONDS:
                if not self._awaited():
                    break
                pinged = self._clock.now()
            if self._hand_over():
                schema.close()  # three connections suffice for a hand-over
            age = (self._clock.now() - opened).total_seconds()
            self._clock.sleep(next(pause for until, pause in POLLS if age < until))
        _let_go(session)
        if reason != "succeeded":
            self._watch.end_others(session)
        return self._end(released=reason != "succeeded")

    def _reason_to_end(self) -> str:
        """Return why this holder may let go, or nothing; a catalogue that is slow to answer is no reason."""
        try:
            point, current = self._points.get(self._request.point_id), self._holds.current(self._request.point_id)
        except Transient:
            point, current = None, self._published
        if point and point.yields >= self._request.attempt:
            raise BackupYielded(point.yielded_to, point=point.id)
        if current is None or (point and point.state is not PointState.CAPTURING):
            return "over"
        if current.generation > self._request.generation:
            return "succeeded"
        if self._clock.seconds_left() < self._last_at:
            raise SnapshotLost("No successor took the backup's snapshot over in time.", point=self._request.point_id)
        return ""

    def _give_way(self, session: Connection, waiter: Waiter) -> bool:
        """
        Let *waiter* go on: record it, release the locks, end the workers, and raise `BackupYielded`.

        True when the attempt is complete already and is only being sealed: then the hold may simply end. False
        when the catalogue does not answer: nothing is let go that others might still count on.
        """
        error = yielded(waiter, self._request.attempt)
        try:
            if not self._points.give_way(self._request.point_id, self._request.attempt, error.message):
                return True
        except Transient:
            return False
        self._abandon(session)
        raise error

    def _refuse_outdated(self, session: Connection, error: SchemaChanged) -> None:
        """
        End the attempt, as `_give_way` does, for its schema is not that of now.

        Not when it is being sealed, for the seal has looked itself; nor when the catalogue does not answer.
        """
        with suppress(Transient):
            point_id, attempt = self._request.point_id, self._request.attempt
            if self._points.get(point_id).sealing == attempt:
                return
            renewed = self._protected.is_renewed(attempt)
            over = outdated(error, self._points, point_id, attempt, renewed=renewed)
            if isinstance(over, BackupYielded):
                self._abandon(session)
            if over is not error or not renewed:
                raise over

    def _abandon(self, session: Connection) -> None:
        """Let go of everything that the attempt holds."""
        with suppress(Transient):
            self._holds.end(self._request.point_id)
        _let_go(session)
        self._watch.end_others(session)
        self._gave_way = True

    def _awaited(self) -> bool:
        """Show the catalogue and the state machine that the holder lives; False when nobody waits for it."""
        with suppress(Transient):
            self._holds.ping(self._request.point_id, self._request.generation, self._clock.now())
            if self._asked:  # perhaps answered, too, and then nobody waits for this token
                return self._executions.running(self._points.get(self._request.point_id).execution)
            return self._executions.heartbeat(self._request.task_token)
        return True

    def _hand_over(self) -> bool:
        """
        Ask for the successor when time gets short, again and again while AWS does not take the answer.

        Says whether it is time for that.
        """
        if self._clock.seconds_left() > self._hand_over_at:
            return False
        if not self._answered:
            with suppress(Transient):
                self._answer(released=False)
        return True

    def _end(self, *, released: bool) -> HoldAnswer:
        """Answer the token when nobody has; that and the hold's end may fail, for the backup is over here."""
        if released:
            self._end_hold()
        if not self._answered:
            with suppress(Transient):
                self._patiently(lambda: self._answer(released=released))
        return HoldAnswer(released=released, generation=self._request.generation)

    def _answer(self, *, released: bool) -> None:
        answer = HoldAnswer(released=released, generation=self._request.generation)
        self._asked = True
        self._executions.succeed(self._request.task_token, answer.model_dump_json())
        self._answered = True


def _let_go(session: Connection) -> None:
    """
    End the transaction, with its locks; a session that is gone has none left.

    It may have been lost in these last seconds without harm: a successor publishes only after it saw the
    snapshot alive under its own locks, and a point is sealed only after the seal saw it so.
    """
    try:
        session.execute("ROLLBACK")
    except psycopg.Error:
        session.close()


def hold_snapshot(
    request: HoldRequest,
    *,
    protect: Callable[[], Protected],
    points: Points,
    holds: Holds,
    executions: Executions,
    clock: Clock,
) -> HoldAnswer:
    """
    Be a holder of what *protect* reads from configuration and secret; what it cannot read, the token hears of.

    Nobody else would tell: an event has no caller. An invocation whose generation is held already stays silent.
    """
    try:
        protected = patiently(clock.sleep, protect)
    except HoldfastError as error:
        name, cause = type(error).__name__, str(error)
        held = patiently(clock.sleep, lambda: holds.current(request.point_id))
        if held is None or held.generation < request.generation:
            patiently(clock.sleep, lambda: executions.fail(request.task_token, name, cause))
        raise
    return Holder(request, protected=protected, points=points, holds=holds, executions=executions, clock=clock).run()
