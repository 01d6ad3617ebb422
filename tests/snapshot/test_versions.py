"""Backups of servers older than the client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from holdfast.model import planning
from holdfast.model.points import PointState
from holdfast.usecases.snapshot import plan
from holdfast_local.postgres import EmbeddedPostgres
from snapshot.rig import Rig
from snapshot.servers import SHOP, Databases


@pytest.fixture(params=[17, 15])
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(request.param, tmp_path_factory.mktemp("older")) as server:
        yield Databases(server)


def test_an_older_server_is_backed_up_by_the_newest_client(older: Databases) -> None:
    rig = Rig(older.create(SHOP))

    point = rig.backup()

    assert rig.verify(point.id).intact
    assert rig.points.get(point.id).state is PointState.INTACT
    assert rig.manifest(point.id).source.server_version // 10000 == older.server.major


def test_a_server_without_tid_ranges_is_copied_table_by_table(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "TID_RANGES_SINCE", 990_000)
    rig = Rig(databases.create("CREATE TABLE a AS SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n"))

    point = rig.backup()

    chunks = rig.manifest(point.id).tables[0].chunks
    assert {(chunk.first_block, chunk.end_block) for chunk in chunks} == {(0, None)}
    assert [chunk.part for chunk in chunks] == [0, 1]
    assert rig.verify(point.id).intact


def test_large_objects_are_read_without_the_privilege_for_their_pages(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = databases.role()
    parameters = databases.create(
        "SELECT lo_from_bytea(4711, decode(repeat('00ff10', 1000000), 'hex'))",
        "SELECT lo_create(4712), lo_from_bytea(4713, 'x')",
        f"GRANT SELECT ON LARGE OBJECT 4711, 4712, 4713 TO {role}",
    )
    # No range is larger than some bytes, so each object is one of its own.
    monkeypatch.setattr(planning, "RANGE_BYTES", 1000)
    by_pages, one_by_one = Rig(parameters), Rig(replace(parameters, user=role, password="secret"))

    first, second = by_pages.backup(), one_by_one.backup()

    manifests = by_pages.manifest(first.id), one_by_one.manifest(second.id)
    contents = [manifest.large_objects.content for manifest in manifests if manifest.large_objects]
    assert contents[0].columns == contents[1].columns == ("loid", "offset", "data")
    assert contents[1].rows == 4
    assert {(chunk.first_block, chunk.end_block) for chunk in contents[1].chunks} == {(0, 4712), (4713, None)}
    assert [content.name for content in contents] == ["pg_largeobject", "lo_get"]
    assert one_by_one.verify(second.id).intact
