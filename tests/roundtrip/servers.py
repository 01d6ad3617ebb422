"""Two servers for round trips, and how to fill, read and compare their databases without Holdfast's own code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from holdfast.adapters.postgres.connect import ConnectionParameters, connect
from holdfast_local.postgres import Server, locate
from restore.archiving import Archiver
from restore.running import Ended, Machine, machine
from snapshot.rig import Rig

ALL = ("--schema-only", "--sequence-data", "--create")
_KEY = re.compile(r"^\\(?:un)?restrict .*\n", re.MULTILINE)
_ENTRY = re.compile(r"^-- (?:Data for )?Name: ", re.MULTILINE)

# Leaves that hashes of an enum choose have other rows in each database; their root has them all.
_ROWS = """
    SELECT c.oid::regclass::text, format(
        $$SELECT count(*), md5(string_agg(t.r, E'\n' ORDER BY t.r COLLATE "C"))
          FROM (SELECT ROW(%s)::text AS r FROM %s %s) t$$,
        (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C") FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        CASE WHEN c.relkind = 'r' THEN 'ONLY' END, c.oid::regclass)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (c.relkind <> 'm' OR c.relispopulated) AND c.relname !~ '^by_hash_of_enum_'
      AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_foreign_table f ON f.ftrelid = i.inhrelid
                      WHERE i.inhparent = c.oid AND c.relkind = 'p')
"""


@dataclass(frozen=True)
class Place:
    """One server on which databases are made and restored."""

    server: Server

    def parameters(self, name: str) -> ConnectionParameters:
        return ConnectionParameters.from_secret(self.server.url(name))

    def query(self, name: str, statement: str) -> list[tuple[object, ...]]:
        with connect(self.parameters(name), application_name="test") as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def fill(self, name: str, script: Path | str) -> None:
        """Run *script* statement by statement, each in a transaction of its own."""
        text = script if isinstance(script, str) else script.read_text(encoding="utf-8")
        self._run("psql", name, "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", text=text)

    def dump(self, name: str, *options: str) -> str:
        """Return what pg_dump says of a database, apart from its keys."""
        return _KEY.sub("", self._run("pg_dump", name, "--no-password", *options).decode("utf-8", "surrogateescape"))

    def rows(self, name: str) -> dict[str, object]:
        """Return count and digest of each table's rows by the table's name; columns in the order of their names."""
        with connect(self.parameters(name), application_name="test") as connection:
            queries = dict(connection.execute(_ROWS).fetchall())
            return {table: connection.execute(str(query).encode()).fetchone() for table, query in queries.items()}

    def _run(self, program: str, name: str, *arguments: str, text: str = "") -> bytes:
        done = subprocess.run(
            [str(locate(18).path(program)), *arguments, self.server.url(name)],
            input=text.encode(),
            env={"PATH": os.environ["PATH"], "PGCLIENTENCODING": "UTF8"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@dataclass(frozen=True)
class RoundTrip:
    """A database on one server, and what the restore made of it on the other."""

    source: Place
    target: Place
    name: str
    into: str
    machine: Machine
    ended: Ended

    def dumps(self) -> tuple[str, str]:
        """Return what pg_dump says of both, under one name."""
        return self.source.dump(self.name, *ALL), self.target.dump(self.into, *ALL).replace(self.into, self.name)

    def rows(self) -> tuple[dict[str, object], dict[str, object]]:
        """Return count and digest of the rows of each table in both."""
        return self.source.rows(self.name), self.target.rows(self.into)


def back_up(source: Place, name: str) -> Rig:
    """Return a rig with one verified point of the database *name*, taken by the real backup."""
    rig = Rig(source.parameters(name))
    verdict = rig.verify(rig.backup().id)
    assert verdict.intact
    return rig


def restorer(rig: Rig, source: Place, target: str) -> Machine:
    """Return a machine that restores what *rig* backed up to the server with the connection string *target*."""
    archiver = Archiver(rig.archive, rig.points, rig.signer, rig.digest_keys)
    return machine(archiver, {"holdfast/shop": source.server.url(), "holdfast/target/other": target})


def round_trip(source: Place, name: str, target: Place, into: str, *, role: str | None = None) -> RoundTrip:
    """Back *name* up, verify that, and restore it as *into* on *target*."""
    url = target.server.url("postgres", role, role)
    restores = restorer(back_up(source, name), source, url)
    return RoundTrip(source, target, name, into, restores, restores.run(into, target_secret="other"))


def entries(dump: str) -> dict[str, str]:
    """Return the parts of a dump's text by their headings, one for each thing."""
    return {part.partition("\n")[0]: part for part in _ENTRY.split(dump)}


def published(directory: Path, public: Path) -> Path:
    """Return a copy of the extensions in *directory* below *public* that every user may read."""
    place = public / "share" / "extension"
    shutil.copytree(directory, place)
    for each in (place.parent, place, *place.iterdir()):
        each.chmod(0o755)
    return place.parent
