"""A download is what PostgreSQL's own programs take, and holds all that the archive holds."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.fingerprint import fingerprint, same_structure
from holdfast.adapters.postgres.programs import run
from holdfast.errors import ArchiveDamaged, BadRequest, LocalDiskFull, PointNotRestorable, TargetNotEmpty
from holdfast.model.keys import ArchiveKeys
from holdfast.model.points import Kind, PointState
from holdfast.usecases.download import directory, files
from holdfast.usecases.download.directory import write_directory
from holdfast.usecases.download.source import Source, open_source
from holdfast.usecases.download.sql import write_sql
from snapshot.rig import DATABASE, Rig
from snapshot.servers import ORDERS, SHOP, USERS, Databases
from snapshot.test_handbook import sums
from verify.looking import first_chunk, flipped

CUT = "SELECT lo_create(9), lo_truncate(lo_open(9, 131072), 2048), lo_put(4713, 4096, 'behind a gap')"


@pytest.fixture(scope="module")
def rig(databases: Databases, programs_directory: str) -> Rig:
    """Return a rig with one point of a database that has everything: read it, never change it."""
    found = Rig(databases.create(SHOP, CUT))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", programs_directory)
        found.backup()
    return found


def source_of(rig: Rig) -> Source:
    (point,) = rig.points.newest_first(DATABASE, limit=1)
    return open_source(point, archive=rig.archive, signer=rig.signer)


def definitions(dump: bytes, section: str) -> bytes:
    return run("pg_restore", [f"--section={section}", "--file=-"], given=dump)


def call(program: str, *arguments: str, into: ConnectionParameters, directory: str) -> str:
    done = subprocess.run(
        [f"{directory}/{program}", *arguments],
        env={**into.environment(), "LC_ALL": "C"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def same(databases: Databases, one: ConnectionParameters, other: ConnectionParameters) -> None:
    assert sums(databases, one) == sums(databases, other)
    with databases.connect(one) as left, databases.connect(other) as right:
        assert same_structure(fingerprint(left), fingerprint(right))


@pytest.mark.parametrize("jobs", [1, 2])
def test_pg_restore_takes_a_directory(
    rig: Rig, databases: Databases, programs_directory: str, tmp_path: Path, jobs: int
) -> None:
    target, into = tmp_path / "copy", databases.create()
    write_directory(source_of(rig), target)

    call("pg_restore", "-e", f"-j{jobs}", "-d", into.dbname, str(target), into=into, directory=programs_directory)

    same(databases, rig.parameters, into)
    listed = call("pg_restore", "--list", str(target), into=into, directory=programs_directory)
    assert "TABLE DATA app orders" in listed


def test_psql_takes_a_file_of_sql(rig: Rig, databases: Databases, programs_directory: str, tmp_path: Path) -> None:
    target, into = tmp_path / "copy.sql", databases.create()
    write_sql(source_of(rig), target, definitions=definitions)

    call("psql", "-Xq", "-f", str(target), into=into, directory=programs_directory)

    same(databases, rig.parameters, into)


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_schema_and_rows_of_two_points_make_one_database(
    databases: Databases, programs_directory: str, tmp_path: Path, form: str
) -> None:
    rig, into = Rig(databases.create(USERS, ORDERS, "SELECT lo_from_bytea(7, 'x')")), databases.create()
    points = [rig.backup(Kind.SCHEMA), rig.backup(Kind.DATA)]

    for point in points:
        target = tmp_path / point.kind
        written(form)(open_source(point, archive=rig.archive, signer=rig.signer), target)
        program, arguments = ("psql", ["-Xqf"]) if form == "sql" else ("pg_restore", ["-e", "-d", into.dbname])
        call(program, *arguments, str(target), into=into, directory=programs_directory)

    same(databases, rig.parameters, into)


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_rows_in_another_encoding_arrive(
    databases: Databases, programs_directory: str, tmp_path: Path, form: str
) -> None:
    rig = Rig(latin(databases, 'CREATE TABLE "tä" AS SELECT \'ü\' AS "ö"'))
    rig.backup()
    target, into = tmp_path / "copy", latin(databases)

    if form == "sql":
        write_sql(source_of(rig), target, definitions=definitions)
        call("psql", "-Xq", "-f", str(target), into=into, directory=programs_directory)
    else:
        write_directory(source_of(rig), target)
        call("pg_restore", "-e", "-d", into.dbname, str(target), into=into, directory=programs_directory)

    with databases.connect(into) as session:
        assert session.execute('SELECT "ö" FROM "tä"').fetchall() == [("ü",)]


def latin(databases: Databases, *scripts: str) -> ConnectionParameters:
    name = databases.create().dbname + "_latin"
    with databases.connect(databases.parameters("postgres")) as session:
        session.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
    with databases.connect(databases.parameters(name)) as session:
        for script in scripts:
            session.execute(script.encode())
    return databases.parameters(name)


def written(form: str) -> Callable[[Source, Path], None]:
    return write_directory if form == "directory" else lambda source, to: write_sql(source, to, definitions=definitions)


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_a_damaged_chunk_is_named_and_nothing_looks_complete(small: Rig, tmp_path: Path, form: str) -> None:
    point, target = small.backup(), tmp_path / "copy"
    key = ArchiveKeys(DATABASE).chunk(first_chunk(small, point.id).sha256)
    small.archive.damage(key, flipped(small.archive.read(key)))

    with pytest.raises(ArchiveDamaged, match=r"public\.orders \(the whole table\)"):
        written(form)(source_of(small), target)

    assert [path.name for path in tmp_path.iterdir()] == ["copy.part"]


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_a_chunk_with_another_number_of_rows_than_was_sealed_is_named(small: Rig, tmp_path: Path, form: str) -> None:
    small.backup()
    source = source_of(small)
    table = source.manifest.tables[0]
    lying = table.model_copy(update={"chunks": (table.chunks[0].model_copy(update={"rows": 1}),)})
    manifest = source.manifest.model_copy(update={"tables": (lying, *source.manifest.tables[1:])})

    with pytest.raises(ArchiveDamaged, match=r"public\.orders \(the whole table\) has 500 rows; the manifest says 1"):
        written(form)(replace(source, manifest=manifest), tmp_path / "copy")


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_what_is_there_is_not_overwritten(small: Rig, tmp_path: Path, form: str) -> None:
    small.backup()
    for name, said in (("copy", "copy is there already"), ("other.part", "other.part is there already")):
        place = tmp_path / name
        if form == "directory":
            place.mkdir()
            place = place / "precious"
        place.write_text("precious")

        with pytest.raises(TargetNotEmpty, match=said):
            written(form)(source_of(small), tmp_path / name.removesuffix(".part"))

        assert place.read_text() == "precious"


def test_a_directory_is_gone_on_with(small: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point, target = small.backup(), tmp_path / "copy"
    monkeypatch.setattr(directory, "_WORKERS", 1)
    key = ArchiveKeys(DATABASE).chunk(small.manifest(point.id).tables[1].chunks[0].sha256)
    whole = small.archive.read(key)
    small.archive.damage(key, flipped(whole))
    with pytest.raises(ArchiveDamaged):
        write_directory(source_of(small), target)
    small.archive.damage(key, whole)
    written_before = {path: path.stat().st_mtime_ns for path in (tmp_path / "copy.part").glob("*.gz")}

    write_directory(source_of(small), target)

    assert len(written_before) == 1
    assert all((target / path.name).stat().st_mtime_ns == time for path, time in written_before.items())
    assert not list(tmp_path.glob("*.part"))


def test_a_directory_of_another_point_is_not_gone_on_with(small: Rig, tmp_path: Path) -> None:
    point, target = small.backup(), tmp_path / "copy"
    key = ArchiveKeys(DATABASE).chunk(first_chunk(small, point.id).sha256)
    whole = small.archive.read(key)
    small.archive.damage(key, b"")
    with pytest.raises(ArchiveDamaged):
        write_directory(source_of(small), target)
    small.archive.damage(key, whole)
    small.backup()

    with pytest.raises(TargetNotEmpty, match="is not what a download of"):
        write_directory(source_of(small), target)


class FullDisk:
    """A file on a disk that has no room."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, _: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_a_full_disk_is_told(small: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    small.backup()
    opened = Path.open
    monkeypatch.setattr(files.Path, "open", lambda path, mode="r", **more: (
        FullDisk(opened(path, mode)) if "w" in mode and "b" in mode else opened(path, mode, **more)
    ))  # fmt: skip

    with pytest.raises(LocalDiskFull, match="There is no room left for"):
        written(form)(source_of(small), tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


def test_rows_that_cannot_fit_are_refused_before_they_are_read(
    small: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.backup()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))

    with pytest.raises(LocalDiskFull, match="there is room for 1000"):
        write_sql(source_of(small), tmp_path / "copy", definitions=definitions)

    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(small: Rig, tmp_path: Path) -> None:
    small.backup()
    (tmp_path / "file").write_text("")

    with pytest.raises(BadRequest, match="Not a directory"):
        write_directory(source_of(small), tmp_path / "file" / "copy")


def test_a_point_that_failed_is_not_downloaded(small: Rig) -> None:
    point = small.backup()
    small.points.advance(point.id, PointState.FAILED, failure="Damaged.")

    with pytest.raises(PointNotRestorable, match="is failed"):
        source_of(small)


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_what_of_a_damaged_point_is_whole_is_written(small: Rig, tmp_path: Path, form: str) -> None:
    point, target = small.backup(), tmp_path / "copy"
    lost, *others = small.manifest(point.id).tables
    small.archive.damage(ArchiveKeys(DATABASE).chunk(lost.chunks[0].sha256), b"")
    small.verify(point.id)
    failed = small.points.get(point.id)
    with pytest.raises(PointNotRestorable) as refused:
        open_source(failed, archive=small.archive, signer=small.signer)

    source, faults = open_source(failed, archive=small.archive, signer=small.signer, damaged=True).whole()
    written(form)(source, target)

    assert f"`holdfast download {point.id} --damaged`" in refused.value.hint
    assert len(faults) == 1
    assert f"{lost.schema_name}.{lost.name}" in faults[0]
    assert source.tables == tuple(others)
    assert target.exists()


@pytest.mark.parametrize("form", ["directory", "sql"])
def test_a_part_is_written_with_what_it_needs(
    rig: Rig, databases: Databases, programs_directory: str, tmp_path: Path, form: str
) -> None:
    target, into = tmp_path / "copy", databases.create()
    read: list[int] = []
    source, notes = replace(source_of(rig), told=read.append).only(tables=["app.ord*"], schemas=[])
    written(form)(source, target)

    program, arguments = ("psql", ["-Xqf"]) if form == "sql" else ("pg_restore", ["-e", "-d", into.dbname])
    call(program, *arguments, str(target), into=into, directory=programs_directory)

    wanted, there = sums(databases, rig.parameters), sums(databases, into)
    assert there["app.orders"] == wanted["app.orders"]
    assert there["sequences"] == (["orders_id_seq3000"],)
    assert "app.users" not in there
    assert any("foreign" in note.lower() or "It needs two tables" in note for note in notes)
    assert sum(read) == sum(content.plain for content in source.manifest.contents)


def test_a_part_is_not_gone_on_with_as_another(small: Rig, tmp_path: Path) -> None:
    point, target = small.backup(), tmp_path / "copy"
    key = ArchiveKeys(DATABASE).chunk(first_chunk(small, point.id).sha256)
    small.archive.damage(key, b"")
    with pytest.raises(ArchiveDamaged):
        write_directory(source_of(small), target)

    with pytest.raises(TargetNotEmpty, match="is not what a download of"):
        write_directory(source_of(small).only(tables=["users"], schemas=[])[0], target)


def test_what_a_point_does_not_have_is_refused_with_what_may_be_meant(small: Rig) -> None:
    small.backup()

    with pytest.raises(BadRequest) as caught:
        source_of(small).only(tables=["order"], schemas=[])

    assert "Did you mean public.orders?" in caught.value.hint


def test_the_roles_lie_beside_a_file_of_sql(small: Rig, tmp_path: Path) -> None:
    point, target = small.backup(), tmp_path / "copy.sql"

    write_sql(source_of(small), target, definitions=definitions)

    assert (tmp_path / "copy.sql.roles.sql").read_bytes() == small.archive.read(
        small.manifest(point.id).globals_sql.key
    )


def test_pg_restore_makes_the_database_with_its_settings_and_takes_rows_alone(
    databases: Databases, programs_directory: str, tmp_path: Path
) -> None:
    parameters = databases.create("CREATE TABLE t AS SELECT 1 AS a", "SELECT lo_from_bytea(7, 'x')")
    with databases.connect(parameters) as connection:
        connection.execute(f"ALTER DATABASE {parameters.dbname} SET work_mem = '7MB'".encode())
        connection.commit()
    rig, target = Rig(parameters), tmp_path / "copy"
    rig.backup()
    write_directory(source_of(rig), target)

    made = call("pg_restore", "--create", "-f-", str(target), into=parameters, directory=programs_directory)
    without = ("-a", "-N", "holdfast_download", "-f-", str(target))
    rows = call("pg_restore", *without, into=parameters, directory=programs_directory)

    assert f"CREATE DATABASE {parameters.dbname}" in made
    assert "SET work_mem TO '7MB'" in made
    assert 'COPY "public"."t"' in rows
    assert "holdfast_download" not in rows
