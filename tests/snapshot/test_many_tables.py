"""What a backup does once for all tables, it does not do for each."""

from __future__ import annotations

from collections import Counter

import pytest

from holdfast.adapters.postgres.programs import Program
from holdfast.adapters.postgres.relations import Relation
from holdfast.adapters.postgres.snapshots import export_first
from snapshot.rig import Rig
from snapshot.servers import Databases

FEW, MANY = 3, 90


def _tables(count: int) -> str:
    return "".join(f"CREATE TABLE t{n} (id int); INSERT INTO t{n} VALUES ({n});" for n in range(count))


def test_ninety_small_tables_are_backed_up_with_as_many_programs_as_three(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: Counter[str] = Counter()
    start = Program.__init__

    def counted(self: Program, name: str, *others: object, **options: object) -> None:
        started[name] += 1
        start(self, name, *others, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Program, "__init__", counted)

    def cost_of(count: int) -> Counter[str]:
        rig = Rig(databases.create(_tables(count)), concurrency=1)
        begun = rig.start()
        started.clear()
        with rig.holding(begun.point_id):
            rig.dump_all(rig.plan(begun.point_id))
            rig.seal(begun.point_id)
        return started.copy()

    few = cost_of(FEW)
    assert cost_of(MANY) == few
    assert few["psql"] == 1


def test_each_table_is_compared_with_the_list_and_not_with_every_other(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = databases.create(_tables(MANY))
    looked_up: Counter[str] = Counter()
    original = Relation.__hash__

    def hashed(self: Relation) -> int:
        looked_up["tables"] += 1
        return original(self)

    monkeypatch.setattr(Relation, "__hash__", hashed)
    with databases.connect(parameters) as session:
        exported = export_first(session)

    assert len(exported.tables) == MANY
    assert looked_up["tables"] <= 5 * MANY
