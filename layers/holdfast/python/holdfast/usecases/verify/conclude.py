"""Conclude a verification: add up what reading everything back yielded, and say whether the point is intact."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from holdfast.archive.digest import TableDigest
from holdfast.archive.vouching import vouched
from holdfast.contracts.documents import CheckBatch, CheckResult
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.verify import DigestOf, Fault, Verdict, Verification, VerifyRequest
from holdfast.errors import ArchiveDamaged, BackupIncomplete
from holdfast.model.keys import VERIFICATION, ArchiveKeys, RunKeys, vouching_name
from holdfast.model.points import Kind, PointState, RecoveryPoint, refuse_foreign
from holdfast.ports.catalogue import Points
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.storage import Archive, Scratch
from holdfast.usecases.verify.plan import STAGE, read_manifest

NAMED_FAULTS = 20
_SHORTEST_LOCK = timedelta(days=7)


class Conclusion:
    """What concluding needs; one object serves one invocation."""

    def __init__(
        self,
        *,
        points: Points,
        archive: Archive,
        scratch: Scratch,
        signer: Signer,
        digest_keys: DigestKeys,
        now: Callable[[], datetime],
        retain_until: Callable[[RecoveryPoint], datetime],
    ) -> None:
        self._points, self._archive, self._scratch = points, archive, scratch
        self._signer, self._now, self._retain_until = signer, now, retain_until
        self._digest_keys = digest_keys

    def run(self, request: VerifyRequest) -> Verdict:
        """
        Write `verification.json` and move the point to `intact`, or move it to `failed` with the faults named.

        May be repeated. Raises `BackupIncomplete` when a batch has no result, `BadRequest` for a point of another
        database: nothing is concluded then.
        """
        refuse_foreign(request.database, request.point_id)
        point = self._points.get(request.point_id)
        manifest = read_manifest(point, archive=self._archive, signer=self._signer)
        results = self._results(request, manifest)
        verification = Verification(
            point_id=point.id,
            manifest_sha256=point.manifest_sha256,
            checked_at=self._now(),
            tables=tuple(_digests(manifest, results)),
            digest_key=next((result.digest_key for result in results), ""),
        )
        faults = [Fault(what=what, problem=problem) for result in results for what, problem in result.faults]
        faults += _miscounted(manifest, verification) if not faults else []
        facts: dict[str, object] = {}
        if not faults:
            faults, facts = self._written(point, verification)
        return self._verdict(point, manifest, faults, facts)

    def _results(self, request: VerifyRequest, manifest: Manifest) -> list[CheckResult]:
        """Return the result of every batch; together they must hold each chunk of the manifest."""
        keys = RunKeys("verify", request.run)
        items = json.loads(self._scratch.read(keys.items(STAGE)) or b"null")
        if items is None:
            raise BackupIncomplete(f"The verification {request.run} has no plan.", hint="Verify the point again.")
        results, chunks = [], 0
        for number in range(len(items)):
            batch, body = self._scratch.read(keys.batch(STAGE, number)), self._scratch.read(keys.result(STAGE, number))
            if batch is None or body is None:
                raise BackupIncomplete(
                    f"Batch {number} of the verification {request.run} was not checked.", hint="Verify the point again."
                )
            chunks += len(CheckBatch.model_validate_json(batch).chunks)
            results.append(CheckResult.model_validate_json(body))
        if chunks != sum(len(content.chunks) for content in manifest.contents):
            raise BackupIncomplete(
                f"The verification {request.run} is of another point.", hint="Verify the point again."
            )
        return results

    def _written(self, point: RecoveryPoint, verification: Verification) -> tuple[list[Fault], dict[str, object]]:
        """
        Store the verification beside the manifest; return what pins it, or a fault when an earlier one differs.

        The same bytes have the same digests, so another digest means that one of the two readings was wrong.
        The document is not signed: its version and hash in the catalogue are what a restore believes it by, and a code
        by the digest key beside it what a catalogue is made anew by.
        """
        key = ArchiveKeys(point.database).of_point(point.id, VERIFICATION)
        found = self._archive.find(key)
        version = point.verification_version or (found.version_id if found else "")
        if version and self._of_another_key(key, version, verification):
            if found:
                self._archive.withdraw(key, found.version_id)
            point, version = replace(point, verification_sha256=""), ""
        if not version:
            body = verification.model_dump_json().encode()
            digest = hashlib.sha256(body).hexdigest()
            stored = self._archive.put(key, body, sha256=digest, retain_until=self._lock_until(point))
            version = stored.version_id
        try:
            body = self._archive.read(key, version)
            earlier = Verification.model_validate_json(body)
        except (ArchiveDamaged, ValidationError):
            return [Fault(what=VERIFICATION, problem="What an earlier verification wrote is missing or damaged.")], {}
        digest = hashlib.sha256(body).hexdigest()
        if _found(earlier) != _found(verification) or point.verification_sha256 not in {"", digest}:
            return [Fault(what=VERIFICATION, problem="An earlier verification found other digests.")], {}
        self._vouch(point, body, digest)
        return [], {"verification_version": version, "verification_sha256": digest}

    def _vouch(self, point: RecoveryPoint, body: bytes, digest: str) -> None:
        """Leave beside the verification what it is believed by where this catalogue is lost."""
        key = ArchiveKeys(point.database).of_point(point.id, vouching_name(digest))
        code = vouched(self._digest_keys.digest_key(point.database), body)
        self._archive.put(key, code, sha256=hashlib.sha256(code).hexdigest(), retain_until=self._lock_until(point))

    def _of_another_key(self, key: str, version: str, verification: Verification) -> bool:
        """Answer whether an earlier verification digested with another key: it says nothing here, and is replaced."""
        try:
            earlier = Verification.model_validate_json(self._archive.read(key, version))
        except (ArchiveDamaged, ValidationError):
            return False
        return bool(earlier.digest_key and verification.digest_key) and earlier.digest_key != verification.digest_key

    def _lock_until(self, point: RecoveryPoint) -> datetime:
        """Return until when a new verification is locked; no lock may end in the past, as a late one's would."""
        return max(self._retain_until(point), self._now() + _SHORTEST_LOCK)

    def _verdict(
        self, point: RecoveryPoint, manifest: Manifest, faults: list[Fault], facts: dict[str, object]
    ) -> Verdict:
        chunks = [chunk for content in manifest.contents for chunk in content.chunks]
        if faults:
            more = f" and {len(faults) - 1} more faults" if len(faults) > 1 else ""
            reason = f"{faults[0].what}: {faults[0].problem}{more}"
            self._points.advance(point.id, PointState.FAILED, failure=reason)
        else:
            reason = f"All {len(chunks)} chunks were read back and are what the manifest says."
            # A proven point stays proven: being intact is a part of that.
            state = PointState.PROVEN if point.state is PointState.PROVEN else PointState.INTACT
            self._points.advance(point.id, state, intact_at=self._now(), failure="", **facts)
        return Verdict(
            database=point.database,
            point_id=point.id,
            intact=not faults,
            reason=reason,
            chunks=len(chunks),
            bytes_plain=sum(chunk.plain for chunk in chunks),
            faults=tuple(faults[:NAMED_FAULTS]),
            first=not faults and point.state is PointState.CAPTURED and point.kind == Kind.FULL,
        )


def _found(verification: Verification) -> tuple[object, ...]:
    """Return what two verifications of one point must have in common: all but the time."""
    return verification.point_id, verification.manifest_sha256, verification.tables


def _digests(manifest: Manifest, results: Iterable[CheckResult]) -> Iterable[DigestOf]:
    """Add up the partial digests of each table; one without chunks has no rows."""
    found: dict[int, TableDigest] = defaultdict(TableDigest)
    for result in results:
        for part in result.digests:
            found[part.table] += TableDigest.from_hex(part.rows, part.digest)
    for table, content in enumerate(manifest.contents):
        digest = found[table]
        yield DigestOf(schema_name=content.schema_name, name=content.name, rows=digest.rows, digest=digest.hex)


def _miscounted(manifest: Manifest, verification: Verification) -> list[Fault]:
    return [
        Fault(what=f"{content.schema_name}.{content.name}", problem=f"It has {found.rows} rows, not {content.rows}.")
        for content, found in zip(manifest.contents, verification.tables, strict=True)
        if found.rows != content.rows
    ]
