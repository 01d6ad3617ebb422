"""Add up what was read back of each table, and compare it with what was archived."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.loading import hash_roots
from holdfast.archive.digest import TableDigest
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.restoring import ProveResult, RestorePlan, TableProof
from holdfast.contracts.verify import Verification
from holdfast.errors import UnexpectedState
from holdfast.usecases.restore.batches import read_results
from holdfast.usecases.restore.world import World


def prove_tables(connection: Connection, plan: RestorePlan, manifest: Manifest, world: World) -> tuple[TableProof, ...]:
    """Return the proof of each table; partitions whose rows may have changed places are equal together."""
    archived = _archived(plan, manifest, world)
    restored: dict[int, TableDigest] = defaultdict(TableDigest)
    for result in _results(plan, world):
        for part in result.digests:
            restored[part.table] += TableDigest.from_hex(part.rows, part.digest)
    proofs, contents = [], manifest.contents
    for group in _groups(connection, manifest):
        was = sum((archived[index] for index in group), TableDigest())
        is_ = sum((restored[index] for index in group), TableDigest())
        for index in group:
            content = contents[index]
            proofs.append(
                TableProof(
                    schema_name=content.schema_name,
                    name=content.name,
                    rows_archived=archived[index].rows,
                    rows_restored=restored[index].rows,
                    digest_archived=archived[index].hex,
                    digest_restored=restored[index].hex,
                    equal=was == is_,
                )
            )
    return tuple(proofs)


def notes_of_moves(tables: Iterable[TableProof]) -> Iterator[str]:
    """Yield a sentence for each partition that has other rows than in the archive although together all are equal."""
    for table in tables:
        if table.equal and table.digest_archived != table.digest_restored:
            yield (
                f"Rows of {table.schema_name}.{table.name} changed partitions: "
                "the hashes that partition them are others in each database."
            )


def _groups(connection: Connection, manifest: Manifest) -> list[list[int]]:
    """Return the contents by index; partitions whose rows may change places are compared together."""
    groups: dict[object, list[int]] = defaultdict(list)
    roots = hash_roots(connection, dict(enumerate(manifest.tables)))
    for index in range(len(manifest.contents)):
        groups[roots.get(index, index)].append(index)
    return list(groups.values())


def _archived(plan: RestorePlan, manifest: Manifest, world: World) -> list[TableDigest]:
    body = world.archive.read(plan.verification.key, plan.verification.version_id or None)
    if hashlib.sha256(body).hexdigest() != plan.verification.sha256:
        raise UnexpectedState(f"The verification of {manifest.point_id} changed during the restore.")
    verification = Verification.model_validate_json(body)
    found = {(item.schema_name, item.name): item for item in verification.tables}
    contents = [found[content.schema_name, content.name] for content in manifest.contents]
    return [TableDigest.from_hex(item.rows, item.digest) for item in contents]


def _results(plan: RestorePlan, world: World) -> Iterator[ProveResult]:
    expected = next(stage.batches for stage in plan.stages if stage.name == "prove")
    results = list(read_results(ProveResult, plan.restore_id, "prove", world))
    if len(results) != expected:
        raise UnexpectedState(f"{expected - len(results)} of {expected} batches were not read back.")
    return iter(results)


def difference_of(table: TableProof) -> str:
    """Return what differs, in a sentence."""
    name = f"{table.schema_name}.{table.name}"
    if table.rows_archived != table.rows_restored:
        return f"The table {name} has {table.rows_restored} rows; the archive has {table.rows_archived}."
    return f"The table {name} has the same number of rows as the archive, but other content."
