"""Names and rows in every encoding that a server can hold come back byte for byte."""

from __future__ import annotations

import psycopg
import pytest

from holdfast.errors import SourceRefused
from roundtrip.servers import Place, round_trip
from snapshot.rig import Rig

SINGLE_BYTES = {
    **{f"LATIN{n}": f"iso8859_{part}" for n, part in enumerate((1, 2, 3, 4, 9, 10, 13, 14, 15, 16), start=1)},
    **{f"ISO_8859_{n}": f"iso8859_{n}" for n in (5, 6, 7, 8)},
    **{f"WIN{n}": f"cp{n}" for n in (866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)},
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
}
OTHERS = {
    "EUC_CN": "简体中文，汉字",
    "EUC_JIS_2004": "日本語カナ俱𠀋",
    "EUC_JP": "日本語カナ漢字纊",
    "EUC_KR": "한국어 漢字",
    "EUC_TW": "繁體中文電腦",
    "UTF8": "naïve 日本語 🐘",
}
SCRIPT = """
CREATE SCHEMA "{word}";
CREATE TYPE "{word}"."{word} type" AS ENUM ('{word}', 'plain');
CREATE TABLE "{word}"."{word}" (
    "{word}" text DEFAULT '{word}' CHECK ("{word}" <> 'not {word}'), kind "{word}"."{word} type"
);
CREATE INDEX "{word} index" ON "{word}"."{word}" ("{word}");
COMMENT ON TABLE "{word}"."{word}" IS '{word}';
CREATE FUNCTION "{word}"() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''{word}''; END';
INSERT INTO "{word}"."{word}" VALUES ('{all}', '{word}'), (DEFAULT, 'plain');
"""


def repertoire(encoding: str) -> str:
    """Return all characters of the upper half of an encoding, or some of its many."""
    if encoding in OTHERS:
        return OTHERS[encoding]
    found = bytes(range(0xA0, 0x100)).decode(SINGLE_BYTES[encoding], "ignore")
    return "".join(character for character in found if character.isprintable())


def create(place: Place, encoding: str) -> str:
    name = f"in_{encoding}".lower()
    place.query("postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    return name


@pytest.mark.parametrize("encoding", sorted({*SINGLE_BYTES, *OTHERS}))
def test_names_and_rows_in_an_encoding_come_back(source: Place, target: Place, encoding: str) -> None:
    name, known = create(source, encoding), repertoire(encoding)
    word = "".join(character for character in known if character.isalpha())[:9]
    source.fill(name, SCRIPT.format(word=word, all=known))

    trip = round_trip(source, name, target, f"{name}_again")

    bytes_of_rows = f'SELECT "{word}"::bytea FROM "{word}"."{word}" ORDER BY 1'
    was, is_ = trip.dumps()
    assert trip.ended.proof.differences == ()
    assert was == is_
    assert word in was
    assert source.query(name, bytes_of_rows) == target.query(trip.into, bytes_of_rows)


def test_bytes_without_an_encoding_come_back(source: Place, target: Place) -> None:
    name = create(source, "SQL_ASCII")
    everything = bytes(range(1, 256)).replace(b"\\", b"").replace(b"'", b"").replace(b"\r", b"\\r")
    keywords = source.parameters(name).keywords()
    with psycopg.connect(**keywords, client_encoding="SQL_ASCII", autocommit=True) as session:  # type: ignore[arg-type]
        session.execute(b'CREATE TABLE "n\xc3\xa9" (a text)')
        session.execute(b'INSERT INTO "n\xc3\xa9" VALUES (E\'' + everything + b"'), (E'\\xff\\xfe')")

    trip = round_trip(source, name, target, f"{name}_again")

    query = 'SELECT md5(a::bytea), length(a) FROM "né" ORDER BY 1'
    assert trip.ended.proof.differences == ()
    assert source.query(name, query) == target.query(trip.into, query)


def test_an_encoding_that_no_client_reads_is_refused_by_name(source: Place) -> None:
    name = create(source, "MULE_INTERNAL")

    with pytest.raises(SourceRefused, match="MULE_INTERNAL"):
        Rig(source.parameters(name)).start()
