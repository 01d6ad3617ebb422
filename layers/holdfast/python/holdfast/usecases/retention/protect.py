"""Protect a recovery point, or no longer; with a legal hold on everything that it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from holdfast.archive.marks import Marks
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.protecting import Guarded, Guarding, ProtectionReceipt, ProtectRequest
from holdfast.errors import ArchiveDamaged, BackupAlreadyRunning
from holdfast.model.collecting import Version
from holdfast.model.keys import MANIFEST, ArchiveKeys, RunKeys
from holdfast.model.points import PointState, RecoveryPoint, refuse_foreign, refuse_without_archive
from holdfast.ports.catalogue import Holds, Points
from holdfast.ports.executions import Executions
from holdfast.ports.storage import Archive, LegalHolds, Scratch, Versions
from holdfast.usecases.locking import take_over
from holdfast.usecases.retention.removing import RECEIPT_KEPT

SECONDS_PER_STEP = 60
TOGETHER = 1000
"""How many versions one step holds, or lets go: some ten seconds' worth."""


class Protection:
    """What protecting needs; one object serves one invocation."""

    def __init__(
        self,
        *,
        points: Points,
        holds: Holds,
        executions: Executions,
        archive: Archive,
        versions: Versions,
        legal_holds: Sequence[LegalHolds],
        scratch: Scratch,
        now: Callable[[], datetime],
        seconds_left: Callable[[], float],
    ) -> None:
        self._points, self._holds, self._executions = points, holds, executions
        self._archive, self._versions, self._legal_holds = archive, versions, legal_holds
        self._scratch, self._now, self._seconds_left = scratch, now, seconds_left

    def run(self, request: ProtectRequest) -> Guarded:
        """
        Do what is asked for as long as this invocation may; answers how far it has come.

        May be repeated. A point is protected first and held then, and let go first before it is unprotected: whoever
        is cut off leaves too much protected, never too little. Raises `PointNotRestorable` for what nobody can keep,
        and `BackupAlreadyRunning` while another run has the lock that a legal hold takes; the point is protected then.
        """
        refuse_foreign(request.database, request.point_id)
        point = self._points.get(request.point_id)
        held = point.legal_hold or (request.protect and request.legal_hold)
        if request.protect:
            if request.legal_hold:
                refuse_without_archive(point)
            point = self._points.protect(point.id, request.reason, legal_hold=held)
        answer = Guarded(
            database=request.database,
            point_id=point.id,
            protect=request.protect,
            reason=request.reason,
            legal_hold=held,
        )
        if held and not (answer := self._held(point, request, answer)).finished:
            return answer
        if not request.protect:
            self._points.protect(point.id, "")
        return self._concluded(request, answer)

    def _held(self, point: RecoveryPoint, request: ProtectRequest, answer: Guarded) -> Guarded:
        """Set or end the legal hold of every version, under the lock: chunks may be those of other held points."""
        self._lock(request)
        manifest = self._manifest(point)
        beside = [version for version in self._beside(point) if not version.marker]
        self._set(beside, on=request.protect)
        chunks, others = _chunks(manifest), Marks() if request.protect else self._needed_by_others(point)
        progress = self._progress(request)
        while progress.done < len(chunks) and self._seconds_left() > SECONDS_PER_STEP:
            some = chunks[progress.done : progress.done + TOGETHER]
            wanted = [version for version in some if (version.key, version.version_id) not in others]
            missing = self._set(wanted, on=request.protect)
            progress = Guarding(done=progress.done + len(some), missing=progress.missing + missing)
            self._scratch.write(_key(request), progress.model_dump_json().encode())
        facts = {"versions": len(beside) + progress.done, "missing": progress.missing}
        return answer.model_copy(update={**facts, "finished": progress.done == len(chunks)})

    def _lock(self, request: ProtectRequest) -> None:
        try:
            self._points.reserve(request.database, request.execution, self._now())
        except BackupAlreadyRunning as running:
            take_over(running, request.execution, points=self._points, holds=self._holds, executions=self._executions)
            self._points.reserve(request.database, request.execution, self._now())

    def _manifest(self, point: RecoveryPoint) -> Manifest:
        """Return what the point is made of; raises `ArchiveDamaged` when it is not the one that was sealed."""
        key = ArchiveKeys(point.database).of_point(point.id, MANIFEST)
        body = self._archive.read(key, point.manifest_version or None)
        if hashlib.sha256(body).hexdigest() != point.manifest_sha256:
            raise ArchiveDamaged(f"The manifest {key} is not the one that was sealed.", key=key)
        return Manifest.model_validate_json(body)

    def _beside(self, point: RecoveryPoint) -> Iterator[Version]:
        after: str | None = ""
        while after is not None:
            page = self._versions.page(ArchiveKeys(point.database).point(point.id), after)
            yield from page.versions
            after = page.after

    def _needed_by_others(self, point: RecoveryPoint) -> Marks:
        """Return the chunks of every other point with a legal hold: theirs stay held."""
        marks = Marks()
        for other in self._points.newest_first(point.database):
            if other.legal_hold and other.id != point.id and other.state is not PointState.EXPIRED:
                marks.add((each.key, each.version_id) for each in _chunks(self._manifest(other)))
        return marks

    def _set(self, versions: Sequence[Version], *, on: bool) -> int:
        """Set or end the hold of *versions* wherever they lie; returns how many are not in the archive any more."""
        missing = [each.hold(versions, on=on) for each in self._legal_holds]
        return missing[0]

    def _progress(self, request: ProtectRequest) -> Guarding:
        body = self._scratch.read(_key(request))
        return Guarding.model_validate_json(body) if body else Guarding()

    def _concluded(self, request: ProtectRequest, answer: Guarded) -> Guarded:
        """Leave a receipt, and give the lock back if it was taken."""
        answer = answer.model_copy(update={"finished": True})
        receipt = ProtectionReceipt(**answer.model_dump(), execution=request.execution, at=self._now())
        body = receipt.model_dump_json().encode()
        key = ArchiveKeys(request.database).protection(request.run)
        until = self._now() + RECEIPT_KEPT
        self._archive.put(key, body, sha256=hashlib.sha256(body).hexdigest(), retain_until=until)
        self._points.release(request.database, request.execution)
        return answer


def _chunks(manifest: Manifest) -> list[Version]:
    """Return every version of a chunk that the manifest pins, each once, in its order."""
    keys = ArchiveKeys(manifest.database)
    pinned = ((keys.chunk(chunk.sha256), chunk.version_id) for content in manifest.contents for chunk in content.chunks)
    return [Version(key, version, manifest.started_at) for key, version in dict.fromkeys(pinned)]


def _key(request: ProtectRequest) -> str:
    return RunKeys("protect", request.run).document("progress.json")
