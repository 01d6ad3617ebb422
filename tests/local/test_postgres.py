"""The embedded servers: real ones, started and stopped."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from holdfast.errors import BadConfiguration, BadRequest, ProgramFailed
from holdfast_local.postgres import EmbeddedPostgres, Server, cluster, identity, programs, zones


def ask(server: Server, sql: str, **options: object) -> object:
    with psycopg.connect(server.url(), **options) as connection:  # type: ignore[arg-type]
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def is_running(pid: int) -> bool:
    """Zombies do not count: who reaps an orphan is up to the machine."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def public_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put copies of programs into a place of this test alone; pytest's own directories are closed to nobody."""
    place = identity.new_public_directory()
    monkeypatch.setattr(identity, "PUBLIC_ROOT", place)
    yield place
    shutil.rmtree(place)


@pytest.mark.parametrize("major", programs.MAJORS)
def test_each_major_starts_answers_and_leaves_nothing(major: int, tmp_path: Path) -> None:
    with EmbeddedPostgres(major, tmp_path / "server") as server:
        version = ask(server, "SELECT current_setting('server_version_num')::int / 10000")
        encoding = ask(server, "SHOW server_encoding")
        files = server.data_directory.parent

    assert (version, encoding) == (major, "UTF8")
    assert not is_running(server.pid)
    assert not files.exists()
    assert list(tmp_path.iterdir()) == []


def test_no_shared_memory_segment_or_socket_outlives_a_server(tmp_path: Path) -> None:
    with EmbeddedPostgres(18, tmp_path / "server") as server:
        identifier = (server.data_directory / "postmaster.pid").read_text().splitlines()[6].split()[1]
        segments = Path("/proc/sysvipc/shm").read_text().split()

    assert identifier in segments
    assert identifier not in Path("/proc/sysvipc/shm").read_text().split()
    assert not Path(f"/tmp/.s.PGSQL.{server.port}").exists()


def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    with EmbeddedPostgres(18, tmp_path / "server", password="right") as server:
        assert ask(server, "SELECT 1") == 1

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url(user="postgres", password="wrong"))


def test_passwords_are_stored_as_scram(tmp_path: Path) -> None:
    with EmbeddedPostgres(15, tmp_path / "server") as server:
        stored = ask(server, "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")

    assert str(stored).startswith("SCRAM-SHA-256$")


@pytest.mark.parametrize("major", [17, 15])
def test_a_tls_server_passes_verify_full_and_refuses_plain_text(major: int, tmp_path: Path) -> None:
    with EmbeddedPostgres(major, tmp_path / "server", tls=True) as server:
        encrypted = ask(server, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", host="localhost")

        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            psycopg.connect(server.url(), sslmode="disable")

    assert encrypted is True


def test_verify_full_refuses_another_authority(tmp_path: Path) -> None:
    with (
        EmbeddedPostgres(17, tmp_path / "one", tls=True) as one,
        EmbeddedPostgres(17, tmp_path / "two", tls=True) as two,
        pytest.raises(psycopg.OperationalError, match="certificate verify failed"),
    ):
        psycopg.connect(one.url(), sslrootcert=str(two.authority))


def test_18_refuses_to_promise_tls(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="has no TLS"):
        EmbeddedPostgres(18, tmp_path / "server", tls=True)


def test_an_unknown_major_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="18, 17, 15"):
        EmbeddedPostgres(9, tmp_path / "server")


def test_settings_reach_the_server_over_the_defaults(tmp_path: Path) -> None:
    settings = {"work_mem": "7MB", "max_connections": 13, "fsync": True, "application_name": "it's"}

    with EmbeddedPostgres(18, tmp_path / "server", settings=settings) as server:
        values = [ask(server, f"SHOW {name}") for name in ("work_mem", "max_connections", "fsync", "full_page_writes")]

    assert values == ["7MB", "13", "on", "off"]


def test_data_and_password_survive_a_stop(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(17, tmp_path / "server")
    first = embedded.start()
    with psycopg.connect(first.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    embedded.stop()

    with EmbeddedPostgres(17, tmp_path / "server") as second:
        assert ask(second, "SELECT answer FROM kept") == 42
    assert not is_running(first.pid)


def test_data_of_another_major_is_refused(tmp_path: Path) -> None:
    with EmbeddedPostgres(17, tmp_path / "server", keep=True):
        pass

    with pytest.raises(BadRequest, match="made by PostgreSQL 17"), EmbeddedPostgres(18, tmp_path / "server"):
        pass
    with EmbeddedPostgres(17, tmp_path / "server"):
        pass


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with (
            pytest.raises(ProgramFailed, match=f"Port {port} on 127.0.0.1 is taken"),
            EmbeddedPostgres(18, tmp_path / "server", port=port),
        ):
            pass


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    settings = {"no_such_setting": 1}

    with (
        pytest.raises(ProgramFailed, match="no_such_setting"),
        EmbeddedPostgres(18, tmp_path / "server", settings=settings),
    ):
        pass

    assert not (tmp_path / "server").exists()


def test_the_password_is_not_shown_by_repr(tmp_path: Path) -> None:
    server = Server(18, 1, "127.0.0.1", 1, tmp_path, tmp_path, "postgres", "s3cret/word")

    assert "s3cret" not in repr(server)
    assert server.url("a b") == "postgresql://postgres:s3cret%2Fword@127.0.0.1:1/a%20b"
    assert server.url(user="reader") == "postgresql://reader@127.0.0.1:1/postgres"


def test_17_has_time_zones_where_the_system_has_none(
    tmp_path: Path, public_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zones, "SYSTEM_ZONES", tmp_path / "absent")

    with EmbeddedPostgres(17, tmp_path / "server") as server:
        hour = ask(
            server, "SELECT extract(hour FROM '2026-07-01 12:00 Europe/Paris'::timestamptz AT TIME ZONE 'UTC')::int"
        )

    assert hour == 10
    assert programs.locate(17).home.is_relative_to(public_root)


def test_a_copy_of_the_programs_that_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "PUBLIC_ROOT", tmp_path)
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    copy = identity.public_copy("key", source, ("bin",))
    copy.chmod(0o777)

    with pytest.raises(BadConfiguration, match="writable by others"):
        identity.public_copy("key", source, ("bin",))


def test_a_link_in_place_of_the_copy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "PUBLIC_ROOT", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"holdfast-{os.geteuid()}-key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadConfiguration, match="belongs to somebody else"):
        identity.public_copy("key", tmp_path, ())


@pytest.mark.parametrize("major", programs.MAJORS)
def test_programs_below_a_private_directory_are_copied_where_the_server_may_run_them(
    major: int, tmp_path: Path, public_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "can_enter", lambda path, user: False)

    with EmbeddedPostgres(major, tmp_path / "server") as server:
        assert ask(server, "SELECT 1") == 1

    assert programs.locate(major).home.is_relative_to(public_root)


def test_every_file_that_a_cluster_makes_is_listed_for_removal(tmp_path: Path) -> None:
    with EmbeddedPostgres(17, tmp_path / "server", tls=True) as server:
        made = {path.name for path in server.data_directory.parent.iterdir()}

    assert made <= {*cluster.MADE, "data"}


def test_a_url_names_an_authority_in_a_directory_with_spaces(tmp_path: Path) -> None:
    authority = tmp_path / "a directory" / "ca.pem"
    server = Server(
        major=17, port=5432, host="127.0.0.1", pid=1, data_directory=tmp_path, log=tmp_path / "log",
        superuser="postgres", password="secret", authority=authority,
    )  # fmt: skip

    assert conninfo_to_dict(server.url())["sslrootcert"] == str(authority)
