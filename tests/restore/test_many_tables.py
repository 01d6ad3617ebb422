"""What a step asks of the server does not grow with the number of small tables."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from holdfast.adapters.postgres import programs
from holdfast.contracts.manifest import Chunk, Manifest, TableContent
from holdfast.model.building import MOST_OF_SMALL, SMALL_SLICE, index_stages, tables_of
from holdfast.model.tables import TableName
from holdfast.model.toc import Section, TocEntry
from holdfast.usecases.restore import batching
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import machine

FEW, MANY = 3, 60
VERY_MANY = 60_000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how many programs were started, by name, and how many statements were sent by us."""
    found: Counter[str] = Counter()
    start, execute = programs.Program.__init__, psycopg.Cursor.execute

    def started(self: programs.Program, name: str, *others: object, **options: object) -> None:
        found[name] += 1
        start(self, name, *others, **options)  # type: ignore[arg-type]

    def executed(self: psycopg.Cursor, *others: object, **options: object) -> psycopg.Cursor:
        found["statements"] += 1
        return execute(self, *others, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(programs.Program, "__init__", started)
    monkeypatch.setattr(psycopg.Cursor, "execute", executed)
    return found


def _tables(count: int) -> str:
    return "".join(
        f"CREATE TABLE t{n} (id int PRIMARY KEY, a text); INSERT INTO t{n} VALUES (1, 'one'), (2, E'\\\\.'), (3, NULL);"
        for n in range(count)
    )


def test_sixty_small_tables_are_proven_with_as_many_programs_and_statements_as_three(
    databases: Databases, asked: Counter[str]
) -> None:
    def cost_of(count: int) -> Counter[str]:
        source, archiver = databases.create(_tables(count)), Archiver()
        archiver.take(databases.parameters(source))
        restore = machine(archiver, {"holdfast/shop": databases.server.url(source)})
        restore.between["finished"] = asked.clear
        assert restore.run(databases.name()).report.succeeded
        return asked.copy()

    assert cost_of(MANY) == cost_of(FEW)


def test_the_indexes_of_very_many_small_tables_are_few_batches() -> None:
    tables = [
        TocEntry(number=n, kind="TABLE", tag=f"t{n}", section=Section.PRE_DATA, schema="app", relkind="r")
        for n in range(VERY_MANY)
    ]
    keys = [
        TocEntry(
            number=VERY_MANY + n, kind="CONSTRAINT", tag=f"t{n} k", section=Section.POST_DATA, schema="app",
            depends_on=(n,),
        )
        for n in range(VERY_MANY)
    ]  # fmt: skip

    (stage,) = index_stages(keys, tables_of(tables, {TableName("app", f"t{n}"): 8192 for n in range(VERY_MANY)}))

    assert len(stage.batches) <= MOST_OF_SMALL
    assert max(len(each.entries) for batch in stage.batches for each in batch) <= SMALL_SLICE
    assert sorted(n for batch in stage.batches for each in batch for n in each.entries) == [e.number for e in keys]


def test_the_rows_of_very_many_small_tables_are_few_batches() -> None:
    chunk = Chunk(sha256="0" * 64, version_id="v", rows=1, plain=9, stored=9)
    contents = tuple(
        TableContent(schema_name="app", name=f"t{n}", columns=("a",), rows=1, plain=9, chunks=(chunk,))
        for n in range(VERY_MANY)
    )
    manifest = Manifest.model_construct(tables=contents, large_objects=None)

    loaded = batching.load_batches(manifest, concurrency=8)
    proven = batching.prove_batches(manifest, concurrency=8, version=180_000)

    assert max(len(loaded), len(proven)) <= batching.MOST_OF_SMALL
    assert sorted(item.table for batch in loaded for item in batch.chunks) == list(range(VERY_MANY))
    assert sorted(part.table for batch in proven for part in batch.parts) == list(range(VERY_MANY))
