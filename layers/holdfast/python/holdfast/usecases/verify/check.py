"""Check one batch: read every chunk of it back and digest its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from holdfast.archive.digest import TableDigest, fingerprint_of
from holdfast.archive.reading import check_chunk
from holdfast.contracts.documents import CheckBatch, CheckResult, ChunkToCheck, PartialDigest
from holdfast.contracts.verify import CheckRequest
from holdfast.contracts.work import Done
from holdfast.errors import ArchiveDamaged, UnexpectedState
from holdfast.model.keys import ArchiveKeys, RunKeys
from holdfast.model.points import refuse_foreign
from holdfast.ports.keys import DigestKeys
from holdfast.ports.storage import Archive, Scratch
from holdfast.usecases.verify.plan import STAGE

# One chunk is fetched while another is digested; each takes up to 32 MiB compressed.
WORKERS = 2
# Those of small tables are a request each, and hardly a byte.
SMALL_BYTES = 1 << 20
SMALL_WORKERS = 8


def check_batch(request: CheckRequest, *, archive: Archive, scratch: Scratch, digest_keys: DigestKeys) -> Done:
    """
    Write what reading the batch back yielded, unless that is written already.

    A chunk that is not what the manifest says is a fault in the result, not an error: the others are
    checked all the same, so that the verdict names everything that is damaged. Its key is withdrawn, since a
    backup takes what lies under the name of its content for that content: later points would be damaged too.
    May be repeated. Raises `BadRequest` for a point of another database.
    """
    refuse_foreign(request.database, request.point_id)
    keys = RunKeys("verify", request.run)
    if scratch.read(keys.result(STAGE, request.batch)) is not None:
        return Done()
    body = scratch.read(keys.batch(STAGE, request.batch))
    if body is None:
        raise UnexpectedState(f"Batch {request.batch} of the verification {request.run} was never planned.")
    batch = CheckBatch.model_validate_json(body)
    result = _checked(batch, archive, ArchiveKeys(request.database), digest_keys.digest_key(request.database))
    scratch.write(keys.result(STAGE, request.batch), result.model_dump_json().encode())
    return Done()


def _checked(batch: CheckBatch, archive: Archive, keys: ArchiveKeys, digest_key: bytes) -> CheckResult:
    def check(one: ChunkToCheck) -> TableDigest | str:
        key = keys.chunk(one.chunk.sha256)
        try:
            return check_chunk(archive, key, one.chunk, digest_key)
        except ArchiveDamaged as error:
            archive.withdraw(key, one.chunk.version_id)
            # What storage itself refuses to give is gone; its code says nothing to people.
            return "It is missing." if "code" in error.ids else error.message

    digests: dict[int, TableDigest] = defaultdict(TableDigest)
    faults: list[tuple[str, str]] = []
    with _threads("check", WORKERS) as large, _threads("check-small", SMALL_WORKERS) as small:
        pools = (small if one.chunk.plain <= SMALL_BYTES else large for one in batch.chunks)
        begun = [pool.submit(check, one) for pool, one in zip(pools, batch.chunks, strict=True)]
        for one, checked in zip(batch.chunks, begun, strict=True):
            if isinstance(outcome := checked.result(), str):
                faults.append((one.what, outcome))
            else:
                digests[one.table] += outcome
    partial = [PartialDigest(table=table, rows=digest.rows, digest=digest.hex) for table, digest in digests.items()]
    return CheckResult(
        batch=batch.batch,
        digests=tuple(partial),
        faults=tuple(faults),
        plain=sum(one.chunk.plain for one in batch.chunks),
        digest_key=fingerprint_of(digest_key),
    )


@contextmanager
def _threads(name: str, count: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads that begin nothing more once the block is left."""
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
