"""How secrets become connection parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.errors import BadConfiguration, PooledEndpoint

SECRET = "s3cr3t-w0rd"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "postgresql://ann:p%40ss@db.example.com:6543/shop?sslmode=require",
            ("db.example.com", 6543, "ann", "p@ss", "shop", "require"),
            id="a URL",
        ),
        pytest.param("postgres://ann@db/shop", ("db", 5432, "ann", "", "shop", ""), id="a short URL"),
        pytest.param(
            "postgresql://ann:x@db/shop?schema=public&connection_limit=5",
            ("db", 5432, "ann", "x", "shop", ""),
            id="a URL of an ORM",
        ),
        pytest.param(
            '{"host": "db", "port": "5433", "username": "ann", "password": "x", "dbname": "shop", "engine": "pg"}',
            ("db", 5433, "ann", "x", "shop", ""),
            id="JSON of the provider",
        ),
        pytest.param('{"url": "postgres://ann:x@db/shop"}', ("db", 5432, "ann", "x", "shop", ""), id="JSON with a URL"),
        pytest.param("postgres://ann:x@/shop?host=/tmp", ("/tmp", 5432, "ann", "x", "shop", ""), id="a Unix socket"),
        pytest.param("postgres://ann:x@[::1]:5432/shop", ("::1", 5432, "ann", "x", "shop", ""), id="IPv6"),
    ],
)
def test_reads_secrets(text: str, expected: tuple[object, ...]) -> None:
    found = ConnectionParameters.from_secret(text)

    assert (found.host, found.port, found.user, found.password, found.dbname, found.sslmode) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(SECRET, id="only a password"),
        pytest.param(f"mysql://ann:{SECRET}@db/shop", id="another database"),
        pytest.param(f"postgres://ann:{SECRET}@db", id="no database name"),
        pytest.param(f"postgres://ann:{SECRET}@db:port/shop", id="a port that is no number"),
        pytest.param(f"postgres://ann:{SECRET}@db:99999/shop", id="a port out of range"),
        pytest.param(f"postgres://ann:{SECRET}?x@db/shop", id="a password that is not encoded"),
        pytest.param(f"postgres://ann:{SECRET}@one,two/shop", id="several hosts"),
        pytest.param(f"postgres://ann:{SECRET}@db/shop?sslmode=maybe", id="an unknown sslmode"),
        pytest.param(f"postgres://ann:{SECRET}@db/shop?passfile=/etc/passwd", id="an unknown parameter"),
        pytest.param(f'{{"username": "ann", "password": "{SECRET}"}}', id="JSON without a host"),
        pytest.param(f'{{"password": "{SECRET}"', id="broken JSON"),
        pytest.param(f'["{SECRET}"]', id="JSON that is no object"),
    ],
)
def test_refuses_what_is_no_secret_without_quoting_it(text: str) -> None:
    with pytest.raises(BadConfiguration) as refused:
        ConnectionParameters.from_secret(text)

    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_url_that_admits_a_pooler_is_refused() -> None:
    with pytest.raises(PooledEndpoint):
        ConnectionParameters.from_secret("postgres://ann:x@db/shop?pgbouncer=true")


def test_its_text_shows_neither_user_nor_password() -> None:
    parameters = ConnectionParameters.from_secret(f"postgres://ann:{SECRET}@db/shop")

    assert repr(parameters) == str(parameters) == "ConnectionParameters(db:5432/shop)"


def test_programs_get_everything_by_environment() -> None:
    parameters = ConnectionParameters.from_secret("postgres://ann:x@localhost/shop").with_database("other")

    assert parameters.environment() == {
        "PGHOST": "localhost",
        "PGPORT": "5432",
        "PGUSER": "ann",
        "PGPASSWORD": "x",
        "PGDATABASE": "other",
        "PGSSLMODE": "prefer",
        "PGGSSENCMODE": "disable",
    }


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "/var/run/postgresql"])
def test_this_machine_needs_no_certificate(host: str) -> None:
    parameters = ConnectionParameters(host=host, port=5432, user="ann", password="x", dbname="shop")

    assert parameters.keywords()["sslmode"] == "prefer"


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a layer as the functions see it: `bin` on PATH holds a link, certificates lie beside the program."""
    home = tmp_path / "pgclient"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "psql").write_text("")
    (home / "bin" / "psql").chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "psql").symlink_to(home / "bin" / "psql")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return home


def test_another_machine_is_checked_against_the_bundle_of_the_layer(layer: Path) -> None:
    (layer / "certs").mkdir()
    (layer / "certs" / "bundle.pem").write_text("")

    keywords = ConnectionParameters.from_secret("postgres://ann:x@db.example.com/shop").keywords()

    assert keywords["sslmode"] == "verify-full"
    assert keywords["sslrootcert"] == str(layer / "certs" / "bundle.pem")


def test_a_layer_without_certificates_is_a_fault_of_the_configuration(layer: Path) -> None:
    parameters = ConnectionParameters.from_secret("postgres://ann:x@db.example.com/shop")

    with pytest.raises(BadConfiguration, match="certificate"):
        parameters.keywords()


def test_a_named_authority_is_used_as_it_is(layer: Path) -> None:
    text = "postgres://ann:x@db.example.com/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem"

    assert ConnectionParameters.from_secret(text).keywords()["sslrootcert"] == "/etc/ca.pem"
