"""Databases whose encoding is not UTF-8."""

from __future__ import annotations

import psycopg
import pytest

from holdfast.errors import SourceRefused
from snapshot.rig import Rig
from snapshot.servers import Databases


def create(databases: Databases, encoding: str, speaking: str) -> Rig:
    """Return a rig around a database in which somebody who speaks *speaking* made a table with an accent."""
    name = f"in_{encoding}_{speaking}".lower()
    with databases.connect(databases.parameters("postgres")) as session:
        session.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'".encode())
    rig = Rig(databases.parameters(name))
    keywords = rig.parameters.keywords()
    with psycopg.connect(**keywords, client_encoding=speaking, autocommit=True) as session:  # type: ignore[arg-type]
        session.execute('CREATE TABLE "caf\u00e9" (id serial, "pr\u00e9nom" text)')
        session.execute('INSERT INTO "caf\u00e9" ("pr\u00e9nom") VALUES (\'Ren\u00e9\')')
    return rig


@pytest.mark.parametrize(
    ("encoding", "text"), [("LATIN1", "Ren\u00e9".encode("latin-1")), ("SQL_ASCII", "Ren\u00e9".encode())]
)
def test_names_are_kept_and_rows_stay_in_the_encoding_of_the_database(
    databases: Databases, encoding: str, text: bytes
) -> None:
    rig = create(databases, encoding, "LATIN1" if encoding == "LATIN1" else "UTF8")

    point = rig.backup()

    manifest = rig.manifest(point.id)
    [table] = manifest.tables
    assert (table.name, table.columns) == ("caf\u00e9", ("id", "pr\u00e9nom"))
    assert [one.name for one in manifest.sequences] == ["caf\u00e9_id_seq"]
    assert manifest.settings["client_encoding"] == encoding
    assert table.chunks[0].plain == len(b"1\t" + text + b"\n")
    assert rig.verify(point.id).intact


def test_names_without_a_known_encoding_are_refused(databases: Databases) -> None:
    rig = create(databases, "SQL_ASCII", "LATIN1")

    with pytest.raises(SourceRefused, match="SQL_ASCII"):
        rig.start()
