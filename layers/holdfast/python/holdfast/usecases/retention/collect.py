"""Collect chunks that no recovery point pins: read all manifests, list all chunks, remove the difference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pydantic import ValidationError

from holdfast.archive.marks import Marks
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.retention import (
    Amount,
    Collected,
    CollectRequest,
    GarbageBatch,
    GarbageVersion,
    ManifestVersion,
    Phase,
    Progress,
)
from holdfast.errors import ArchiveDamaged, BackupAlreadyRunning, UnexpectedState
from holdfast.model.collecting import Version, sorted_out
from holdfast.model.keys import ArchiveKeys, RunKeys
from holdfast.ports.catalogue import Holds, Points
from holdfast.ports.executions import Executions
from holdfast.ports.storage import Archive, Kept, Scratch, Versions
from holdfast.usecases.locking import take_over
from holdfast.usecases.retention.survey import survey

SECONDS_PER_STEP = 90
"""No step is begun with less left: the longest reads one manifest, or asks a thousand versions for their locks."""
ALL, WHOLE = "pinned.bin", "whole.bin"


class Collection:
    """What collecting needs; one object serves one invocation."""

    def __init__(
        self,
        *,
        points: Points,
        holds: Holds,
        executions: Executions,
        archive: Archive,
        versions: Versions,
        scratch: Scratch,
        now: Callable[[], datetime],
        seconds_left: Callable[[], float],
        replica: Versions | None = None,
    ) -> None:
        self._points, self._holds, self._executions = points, holds, executions
        self._archive, self._versions, self._scratch = archive, versions, scratch
        self._now, self._seconds_left, self._replica = now, seconds_left, replica
        self._marks: dict[str, Marks] = {}

    def run(self, request: CollectRequest) -> Collected:
        """
        Go on with the collection for as long as this invocation may; answers how far it has come.

        May be repeated at any time: each step writes down what the next one needs. Raises `BackupAlreadyRunning`
        while another run has the database's lock, and `ArchiveDamaged` or `UnexpectedState`, before anything is
        removed, when it cannot be known what is still needed.
        """
        progress = self._progress(request) or self._begun(request)
        while progress.phase is not Phase.OVER and self._seconds_left() > SECONDS_PER_STEP:
            if (ended := self._ended_without_us(request)) is not None:
                return ended
            progress = self._stepped(request, progress)
            self._write(request, "progress.json", progress.model_dump_json().encode())
        if progress.phase is Phase.OVER:
            self._points.release(request.database, request.execution)
        return progress.so_far

    def _begun(self, request: CollectRequest) -> Progress:
        """Take the lock, then find every manifest there is."""
        self._lock(request)
        manifests = survey(request.database, points=self._points, executions=self._executions, versions=self._versions)
        self._write(request, ALL, b"")
        self._write(request, WHOLE, b"")
        so_far = Collected(
            database=request.database, run=request.run, dry_run=request.dry_run, manifests=len(manifests)
        )
        progress = Progress(phase=Phase.MARKING, manifests=manifests, marks={ALL: 0, WHOLE: 0}, so_far=so_far)
        self._write(request, "progress.json", progress.model_dump_json().encode())
        return progress

    def _lock(self, request: CollectRequest) -> None:
        try:
            self._points.reserve(request.database, request.execution, self._now())
        except BackupAlreadyRunning as running:
            take_over(running, request.execution, points=self._points, holds=self._holds, executions=self._executions)
            self._points.reserve(request.database, request.execution, self._now())

    def _ended_without_us(self, request: CollectRequest) -> Collected | None:
        """
        Stop an invocation that outlived its execution: whoever has the lock now may pin what was garbage.

        Returns the receipt, when another invocation of the same execution has come to the end and left one.
        """
        if self._points.lock_holder(request.database) == ("", request.execution):
            return None
        receipt = ArchiveKeys(request.database).receipt(request.run)
        if self._archive.find(receipt):
            return Collected.model_validate_json(self._archive.read(receipt))
        raise UnexpectedState(
            f"The collection {request.run} has lost the lock of {request.database}.", execution=request.execution
        )

    def _stepped(self, request: CollectRequest, progress: Progress) -> Progress:
        if progress.phase is Phase.MARKING:
            return self._mark(request, progress)
        return self._list(request, progress) if progress.phase is Phase.LISTING else self._remove(request, progress)

    def _mark(self, request: CollectRequest, progress: Progress) -> Progress:
        """Mark what one manifest pins."""
        if progress.marked == len(progress.manifests):
            return progress.model_copy(update={"phase": Phase.LISTING})
        one = progress.manifests[progress.marked]
        pinned = list(_pinned(self._manifest(one), ArchiveKeys(request.database)))
        written = dict(progress.marks)
        for name in (ALL, WHOLE) if one.whole else (ALL,):
            marks = self._marked(request, name, progress)
            marks.add(pinned)
            self._write(request, name, marks.packed())
            written[name] = len(marks)
        return progress.model_copy(update={"marked": progress.marked + 1, "marks": written})

    def _manifest(self, one: ManifestVersion) -> Manifest:
        body = self._archive.read(one.key, one.version_id)
        if one.sha256 and hashlib.sha256(body).hexdigest() != one.sha256:
            raise ArchiveDamaged(f"The manifest {one.key} is not the one that was sealed.", key=one.key)
        try:
            return Manifest.model_validate_json(body)
        except ValidationError as error:
            raise ArchiveDamaged(f"The manifest {one.key} cannot be read.", key=one.key) from error

    def _list(self, request: CollectRequest, progress: Progress) -> Progress:
        """Judge one page of chunks, and note what of it is garbage."""
        page = self._versions.page(ArchiveKeys(request.database).chunks, progress.after)
        pinned, whole = self._marked(request, ALL, progress), self._marked(request, WHOLE, progress)
        found = sorted_out(page.versions, lambda each: (each.key, each.version_id) in pinned, now=page.seen_at)
        batches, so_far = progress.batches, progress.so_far
        if found.garbage:
            self._write(request, _batch(batches), _noted(found.garbage))
            batches += 1
        counts = {
            "pinned": so_far.pinned + _amount(found.pinned),
            "young": so_far.young + _amount(found.young),
            "garbage": so_far.garbage + _amount(found.garbage),
        }
        following = progress.model_copy(
            update={
                "batches": batches,
                "after": page.after or "",
                "found": progress.found + sum((each.key, each.version_id) in whole for each in found.pinned),
                "so_far": so_far.model_copy(update=counts),
            }
        )
        return following if page.after else self._listed(request, following, len(whole))

    def _listed(self, request: CollectRequest, progress: Progress, needed: int) -> Progress:
        """Go on to remove, if every chunk that points need was in the list: else it is not all there is."""
        if progress.found != needed:
            raise ArchiveDamaged(
                f"{needed - progress.found} chunks that recovery points of {request.database} pin are not in the "
                "archive; nothing was removed.",
                hint="Verify the points: `holdfast verify POINT` names those that are damaged.",
            )
        return progress.model_copy(update={"phase": Phase.REMOVING})

    def _remove(self, request: CollectRequest, progress: Progress) -> Progress:
        """Remove one batch of garbage; when all are done, leave the receipt."""
        if request.dry_run or progress.done == progress.batches:
            return self._concluded(request, progress)
        batch = GarbageBatch.model_validate_json(self._read(request, _batch(progress.done)))
        versions = [Version(**each.model_dump()) for each in batch.versions]
        chunks = [version for version in versions if not version.marker]
        locked = self._removed(chunks) if chunks else ()
        hidden = {one.version.key for one in locked}
        # A marker without anything beneath it is garbage; above something it hides what is damaged.
        markers = [version for version in versions if version.marker and version.key not in hidden]
        if markers:
            self._versions.remove(markers)
        kept = [one.version for one in locked]
        so_far = progress.so_far
        ends = [end for end in (so_far.locked_until, *(one.retained_until for one in locked)) if end]
        counts = {
            "removed": so_far.removed + _amount(version for version in chunks if version not in kept),
            "locked": so_far.locked + _amount(kept),
            "locked_until": max(ends, default=None),
        }
        return progress.model_copy(update={"done": progress.done + 1, "so_far": so_far.model_copy(update=counts)})

    def _removed(self, chunks: Sequence[Version]) -> Sequence[Kept]:
        """Remove versions; returns those that a lock protects. The list is that of the archive, so its go last."""
        locked = self._replica.remove(chunks) if self._replica else ()
        there = {one.version for one in locked}
        return [*locked, *self._versions.remove([one for one in chunks if one not in there])]

    def _concluded(self, request: CollectRequest, progress: Progress) -> Progress:
        so_far = progress.so_far.model_copy(update={"finished": True})
        if not request.dry_run:
            receipt = so_far.model_dump_json().encode()
            key = ArchiveKeys(request.database).receipt(request.run)
            self._archive.put(key, receipt, sha256=hashlib.sha256(receipt).hexdigest())
        return progress.model_copy(update={"phase": Phase.OVER, "so_far": so_far})

    def _marked(self, request: CollectRequest, name: str, progress: Progress) -> Marks:
        """
        Return the marks that *progress* was written after, and maybe more.

        Manifests are marked in one order, so another invocation's marks are more or fewer of the same. With fewer
        of them, something needed would be garbage.
        """
        if name not in self._marks:
            marks = Marks(self._read(request, name))
            if len(marks) < progress.marks[name]:
                raise UnexpectedState(
                    f"Two invocations of the collection {request.run} wrote over each other; nothing was removed.",
                    hint="Start a new collection: `holdfast collect DB`.",
                    run=request.run,
                )
            self._marks[name] = marks
        return self._marks[name]

    def _progress(self, request: CollectRequest) -> Progress | None:
        body = self._scratch.read(_key(request, "progress.json"))
        return Progress.model_validate_json(body) if body else None

    def _read(self, request: CollectRequest, name: str) -> bytes:
        body = self._scratch.read(_key(request, name))
        if body is None:
            raise UnexpectedState(f"The collection {request.run} has lost its {name}.", run=request.run)
        return body

    def _write(self, request: CollectRequest, name: str, body: bytes) -> None:
        self._scratch.write(_key(request, name), body)


def _pinned(manifest: Manifest, keys: ArchiveKeys) -> Iterable[tuple[str, str]]:
    for content in manifest.contents:
        for chunk in content.chunks:
            yield keys.chunk(chunk.sha256), chunk.version_id


def _noted(garbage: Iterable[Version]) -> bytes:
    noted = tuple(
        GarbageVersion(
            key=one.key, version_id=one.version_id, modified_at=one.modified_at, size=one.size, marker=one.marker
        )
        for one in garbage
    )
    return GarbageBatch(versions=noted).model_dump_json().encode()


def _amount(versions: Iterable[Version]) -> Amount:
    chunks = [version.size for version in versions if not version.marker]
    return Amount(versions=len(chunks), bytes=sum(chunks))


def _batch(number: int) -> str:
    return f"garbage/{number:06d}.json"


def _key(request: CollectRequest, name: str) -> str:
    return RunKeys("collect", request.run).document(name)
