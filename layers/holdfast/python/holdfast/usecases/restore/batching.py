"""Cut a restore into batches, and write them and the items of the Maps into the scratch bucket."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.contracts.manifest import Manifest, MaterialisedView, TableContent
from holdfast.contracts.message import Contract
from holdfast.contracts.restoring import (
    ChunkToLoad,
    FinishBatch,
    LoadBatch,
    PartToProve,
    ProveBatch,
    SliceDocument,
)
from holdfast.contracts.work import Items
from holdfast.model.building import LARGE_TABLE, above_foreign_tables
from holdfast.model.keys import RunKeys
from holdfast.model.refreshing import refresh_levels
from holdfast.model.restoring import SchemaPlan
from holdfast.model.slices import Slice, StagePlan, batch_limit, pack
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry, TocParts
from holdfast.model.toc_writing import SchemaParts
from holdfast.ports.storage import Scratch
from holdfast.usecases.restore import statements

MEBIBYTE = 1 << 20
LEAST_BATCH = 64 * MEBIBYTE
MOST_BATCH = 1024 * MEBIBYTE
MOST_CHUNKS = 500
PROVE_PART = 64 * MEBIBYTE
MOST_PARTS = 1000
MOST_BATCHES = 4_500
"""Of batches that are full by their bytes: a Map takes 10,000 items."""
MOST_OF_SMALL = 100
"""Of batches that are full by their number: each costs the same, whatever is in it."""
SLICES_TOGETHER = 10
SEQUENCES_TOGETHER = 500
"""Of those that are set one by one."""
SMALL_DATABASE = 1024 * MEBIBYTE
TID_RANGES = 140_000
"""The first version that reads ranges of blocks without reading the whole table."""
LATE_ROWS = "late-rows"
"""The stage of rows that name what is made after rows."""
_WRITERS = 16


def load_batches(manifest: Manifest, *, concurrency: int, late: Collection[TableName] = ()) -> list[LoadBatch]:
    """Return the chunks in batches, but those of the tables *late*."""
    groups = _groups(manifest, concurrency, lambda name: name not in late)
    contents = _without_chunks(manifest)
    return [
        LoadBatch(batch=number, chunks=group, contents={item.table: contents[item.table] for item in group})
        for number, group in enumerate(groups)
    ]


def late_batches(manifest: Manifest, *, concurrency: int, late: Collection[TableName]) -> list[FinishBatch]:
    """Return the chunks of the tables *late* in batches of a stage of their own."""
    groups = _groups(manifest, concurrency, lambda name: name in late)
    contents = _without_chunks(manifest)
    return [
        FinishBatch(
            stage=LATE_ROWS, batch=number, chunks=group, contents={item.table: contents[item.table] for item in group}
        )
        for number, group in enumerate(groups)
    ]


def _groups(
    manifest: Manifest, concurrency: int, wanted: Callable[[TableName], bool]
) -> tuple[tuple[ChunkToLoad, ...], ...]:
    """Return the chunks of *wanted* tables, the largest first, so that none of them is the last to end."""
    contents = manifest.contents
    names = [TableName.of(content) for content in contents]
    numbered = [chunk for chunk in _chunks(manifest) if wanted(names[chunk.table])]
    numbered.sort(key=lambda item: (-contents[item.table].plain, item.table, item.number))
    total = sum(item.chunk.plain for item in numbered)
    limit = batch_limit(total, concurrency, least=LEAST_BATCH, most=MOST_BATCH, items=MOST_BATCHES)
    return pack(numbered, lambda item: item.chunk.plain, limit, _most(len(numbered), MOST_CHUNKS))


def prove_batches(manifest: Manifest, *, concurrency: int, version: int) -> list[ProveBatch]:
    """Return shares of every table in batches; tables without rows too: they must be empty."""
    parts: list[tuple[PartToProve, int]] = []
    for table, content in sorted(enumerate(manifest.contents), key=lambda pair: -pair[1].plain):
        count = _parts_of(content, version)
        share = content.plain // count
        parts += [(PartToProve(table=table, part=part, parts=count), share) for part in range(count)]
    total = sum(size for _, size in parts)
    limit = batch_limit(total, concurrency, least=LEAST_BATCH, most=MOST_BATCH, items=MOST_BATCHES)
    groups = pack(parts, lambda pair: pair[1], limit, _most(len(parts), MOST_PARTS))
    contents = _without_chunks(manifest)
    return [
        ProveBatch(
            batch=number,
            parts=tuple(part for part, _ in group),
            contents={part.table: contents[part.table] for part, _ in group},
        )
        for number, group in enumerate(groups)
    ]


def finish_stages(
    manifest: Manifest,
    schema: SchemaPlan,
    entries: Sequence[TocEntry],
    *,
    version: int,
    lent: Sequence[SliceDocument] = (),
    of_database: Sequence[SliceDocument] = (),
    late_rows: Sequence[FinishBatch] = (),
    forward_only: bool = False,
) -> dict[str, list[FinishBatch]]:
    """
    Return the batches of the stages after rows, in the order of the stages; empty stages are left out.

    *lent* are the slices that take back what was lent for the restore only, before the archive's own grants;
    *of_database* are those about the database itself. *late_rows* may name what the stages before them make. With
    *forward_only* no sequence is taken back.
    """
    values = [*statements.set_sequences(manifest.sequences, forward_only=forward_only)]
    if manifest.large_objects:
        values += statements.describe_large_objects(manifest.large_objects)
    parents = [TableName(entry.schema, entry.tag) for entry in entries if entry.relkind == "p"]
    above = above_foreign_tables(entries)
    analyses = [*statements.analyze(manifest, parents, above_foreign=above, large=LARGE_TABLE, version=version)]
    large = {TableName(table.schema_name, table.name) for table in manifest.tables if table.plain >= LARGE_TABLE}
    stages = {
        **_of_dump(schema.indexes, schema.unowned, lasting=True),
        **_of_dump(schema.definitions, schema.unowned),
        LATE_ROWS: list(late_rows),
        **_of_dump(schema.behaviour, schema.unowned),
        **_of_dump(schema.foreign_keys, schema.unowned, lasting=True),
        "values": _batches("values", values, SEQUENCES_TOGETHER if forward_only else SLICES_TOGETHER),
        "take-back": _batches("take-back", lent, 10_000),
        **_of_dump([schema.grants], schema.unowned),
        "rewritten": _batches("rewritten", list(statements.grant_rewritten(schema.rewritten)), SLICES_TOGETHER),
        **_refreshes(manifest.materialised_views, entries),
        **_of_dump([schema.event_triggers], schema.unowned),
        "if-allowed": _batches("if-allowed", list(statements.define_if_allowed(schema.if_allowed)), SLICES_TOGETHER),
        "database": _batches("database", of_database, 1),
        "analyze": _batches("analyze", analyses, SLICES_TOGETHER, alone=len(large - above)),
    }
    kept = {name: batches for name, batches in stages.items() if batches}
    small = sum(content.plain for content in manifest.contents) < SMALL_DATABASE
    return join_single_batches(kept) if small else kept


def join_single_batches(stages: Mapping[str, list[FinishBatch]]) -> dict[str, list[FinishBatch]]:
    """Join neighbouring stages of one batch each: in a small database starting a Map costs more than its work."""
    joined: dict[str, list[FinishBatch]] = {}
    last = ""
    for name, batches in stages.items():
        if last and _may_join(joined[last]) and _may_join(batches):
            slices = joined.pop(last)[0].slices + batches[0].slices
            last = f"{last.partition('--')[0]}--{name}"
            joined[last] = [FinishBatch(stage=last, batch=0, slices=slices)]
        else:
            last = name
            joined[name] = batches
    return joined


def _may_join(batches: Sequence[FinishBatch]) -> bool:
    return len(batches) == 1 and not batches[0].chunks


def slices_before(
    manifest: Manifest, schema: SchemaPlan, lend: Iterable[SliceDocument] = (), add_schemas: Iterable[str] = ()
) -> tuple[SliceDocument, ...]:
    """Return the slices that run before rows are loaded; those of *lend* when the schemas are there."""
    return (
        *statements.add_schemas(add_schemas),
        *(document_of(each, schema.unowned) for each in schema.schemas),
        *lend,
        *(document_of(each, schema.unowned) for each in schema.before),
        *(statements.create_large_objects(manifest.large_objects) if manifest.large_objects else ()),
    )


def document_of(planned: Slice, unowned: Collection[int], *, lasting: bool = False) -> SliceDocument:
    """Return a slice of the schema dump as it is written down."""
    kept = tuple(number for number in planned.entries if number in unowned)
    return SliceDocument(
        mark=planned.mark,
        what=planned.what,
        lasting=lasting,
        way=planned.way,
        entries=planned.entries,
        unowned=kept,
    )


def write_stage(
    scratch: Scratch,
    restore_id: str,
    stage: str,
    batches: Sequence[LoadBatch | ProveBatch | FinishBatch],
    size: int = 0,
) -> Items:
    """Write a stage's batches, then the items of its Map."""
    keys = RunKeys("restore", restore_id)

    def write(batch: LoadBatch | ProveBatch | FinishBatch) -> None:
        scratch.write(keys.batch(stage, batch.batch), _json(batch))

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(write, batches))
    items = [{"restore_id": restore_id, "stage": stage, "batch": batch.batch} for batch in batches]
    scratch.write(keys.items(stage), json.dumps(items).encode())
    return Items(bucket=scratch.bucket, key=keys.items(stage), count=len(items), bytes=size)


def write_definitions(scratch: Scratch, restore_id: str, dump: TocParts, slices: Iterable[SliceDocument]) -> None:
    """Write for each slice the part of *dump* that it runs: reading all of it for each would take long."""
    keys, parts = RunKeys("restore", restore_id), SchemaParts(dump)

    def write(planned: SliceDocument) -> None:
        scratch.write(keys.definitions(planned.mark), parts.of(planned.entries))

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(write, (each for each in slices if each.entries)))


def _json(document: Contract) -> bytes:
    return document.model_dump_json().encode()


def _chunks(manifest: Manifest) -> Iterator[ChunkToLoad]:
    """Number all chunks of rows; those of the list of large objects are loaded before, by slices of their own."""
    number = 0
    for table, content in enumerate(manifest.contents):
        if table == len(manifest.tables) + 1:
            return
        for chunk in content.chunks:
            yield ChunkToLoad(number=number, table=table, chunk=chunk)
            number += 1


def _without_chunks(manifest: Manifest) -> list[TableContent]:
    return [content.model_copy(update={"chunks": ()}) for content in manifest.contents]


def _most(count: int, usual: int) -> int:
    """Return how many of *count* things one batch may have."""
    return max(usual, -(-count // MOST_OF_SMALL))


def _parts_of(content: TableContent, version: int) -> int:
    return max(1, -(-content.plain // PROVE_PART)) if version >= TID_RANGES else 1


def _of_dump(
    stages: Iterable[StagePlan], unowned: Collection[int], *, lasting: bool = False
) -> dict[str, list[FinishBatch]]:
    return {
        stage.name: [
            FinishBatch(
                stage=stage.name,
                batch=number,
                slices=tuple(document_of(each, unowned, lasting=lasting) for each in slices),
            )
            for number, slices in enumerate(stage.batches)
        ]
        for stage in stages
    }


def _refreshes(views: Sequence[MaterialisedView], entries: Sequence[TocEntry]) -> dict[str, list[FinishBatch]]:
    """Return a stage for each level of dependence, each view a batch, and one for those that are left in the end."""
    named = {TableName(view.schema_name, view.name): view for view in views}
    levels = refresh_levels(entries, list(named))
    stages = {
        f"refresh-{number}": _batches(
            f"refresh-{number}", list(statements.refresh([named[name] for name in level], last=False)), 1
        )
        for number, level in enumerate(levels)
    }
    return {**stages, "refresh-rest": _batches("refresh-rest", list(statements.refresh(views, last=True)), 20_000)}


def _batches(stage: str, slices: Sequence[SliceDocument], together: int, *, alone: int = 0) -> list[FinishBatch]:
    """Return batches of so many slices *together*, after the first ones, which are *alone*."""
    groups = [*((each,) for each in slices[:alone]), *pack(slices[alone:], lambda _: 1, together, together)]
    return [FinishBatch(stage=stage, batch=number, slices=group) for number, group in enumerate(groups)]
