"""Connections to a server that speaks TLS only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.adapters.postgres.connect import ConnectionParameters, connect
from holdfast.errors import AuthenticationFailed, TlsRefused
from holdfast_local.postgres import EmbeddedPostgres
from holdfast_local.postgres.certificates import issue


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectionParameters]:
    with EmbeddedPostgres(17, tmp_path_factory.mktemp("tls"), tls=True) as server:
        yield ConnectionParameters.from_secret(server.url())


def test_a_trusted_certificate_with_the_right_name_is_accepted(parameters: ConnectionParameters) -> None:
    with connect(parameters, application_name="test") as session:
        assert session.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)


def test_a_certificate_of_another_authority_is_refused(parameters: ConnectionParameters, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(issue().authority)

    with pytest.raises(TlsRefused):
        connect(replace(parameters, sslrootcert=str(other)), application_name="test")


def test_an_authority_that_is_missing_is_refused(parameters: ConnectionParameters, tmp_path: Path) -> None:
    with pytest.raises(TlsRefused):
        connect(replace(parameters, sslrootcert=str(tmp_path / "none.pem")), application_name="test")


def test_a_server_that_insists_on_tls_refuses_plain_text(parameters: ConnectionParameters) -> None:
    with pytest.raises(TlsRefused):
        connect(replace(parameters, sslmode="disable"), application_name="test")


def test_a_wrong_password_is_told_apart_from_a_wrong_certificate(parameters: ConnectionParameters) -> None:
    with pytest.raises(AuthenticationFailed):
        connect(replace(parameters, password="wrong"), application_name="test")


def test_a_wrong_password_is_told_apart_where_tls_is_only_preferred(parameters: ConnectionParameters) -> None:
    """Libpq tries again without TLS, and that is refused for another reason: the last word would mislead."""
    with pytest.raises(AuthenticationFailed):
        connect(replace(parameters, password="wrong", sslmode="prefer"), application_name="test")
