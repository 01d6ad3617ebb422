"""What a step asks of the server does not grow with the number of small tables."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from holdfast.adapters.postgres import programs
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import machine

FEW, MANY = 3, 60


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
