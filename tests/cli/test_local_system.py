"""The local system: what `up` refuses, where it is found, and a stranger's three lines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from holdfast.configuration import load
from holdfast.errors import BadConfiguration
from holdfast_cli import main
from holdfast_cli.exits import exit_code
from holdfast_local import system
from holdfast_local.cloud import lifecycle
from holdfast_local.cloud.errors import CloudNotRunning
from holdfast_local.postgres import EmbeddedPostgres
from holdfast_local.synthesis import without_account

REGION = '[holdfast]\nregion = "eu-central-1"\n'


def test_every_missing_connection_url_is_named_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(
        REGION
        + '[databases.shop]\nprovider = "postgres"\nurl_env = "SHOP_URL"\n'
        + '[databases.stock]\nprovider = "postgres"\n'
        + '[targets.spare]\nurl_env = "SPARE_URL"\n'
    )

    with pytest.raises(BadConfiguration) as caught:
        system.up(file, environment={"SPARE_URL": ""})

    assert "databases.shop: the environment variable SHOP_URL is not set" in caught.value.message
    assert "databases.stock: url_env is missing" in caught.value.message
    assert "targets.spare: the environment variable SPARE_URL is not set" in caught.value.message
    assert not (tmp_path / ".holdfast").exists()


def test_a_secret_with_an_arn_cannot_be_made_locally(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-AbCdEf"
    file.write_text(f'{REGION}[databases.shop]\nprovider = "postgres"\nurl_env = "U"\nsecret = "{arn}"\n')

    with pytest.raises(BadConfiguration, match="secret is an ARN"):
        system.up(file, environment={"U": "postgresql://u:p@localhost/shop"})


def test_a_system_is_looked_for_in_the_directory_and_those_above_it(tmp_path: Path) -> None:
    below = tmp_path / "services" / "shop"

    places = list(system.places(below))

    assert places[0] == below / ".holdfast/local"
    assert tmp_path / ".holdfast/local" in places


def test_where_nothing_runs_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(CloudNotRunning) as caught:
        system.find(tmp_path)

    assert exit_code(caught.value) == 6
    assert system.status(tmp_path) is None
    assert system.down(tmp_path) is False


class Starting:
    """`holdfast local up` in a process group of its own, of which *ignored* says whether it ignores Ctrl-C."""

    def __init__(self, directory: Path, *, ignored: bool) -> None:
        self._directory, self._said = directory, directory / "said.txt"
        to = "SIG_IGN" if ignored else "default_int_handler"
        program = (
            f"import signal; signal.signal(signal.SIGINT, signal.{to}); from holdfast_cli.entry import main; main()"
        )
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "local", "up"],
                cwd=directory,
                env={**os.environ, "SHOP_URL": "postgresql://u:p@127.0.0.1:5/shop"},
                stderr=said,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def wait_until(self, moment: str) -> None:
        reached = {
            "building": lambda: "Building" in self.said,
            "starting the cloud": (self._directory / ".holdfast/local/cloud.json").exists,
            "writing the template": lambda: list(self._directory.glob(".holdfast/local/.cdk.out-*/.fresh-*/fresh/*")),
            "deploying": lambda: "Deploying" in self.said,
        }[moment]
        limit = time.monotonic() + 120
        while not reached():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < limit, self.said
            time.sleep(0.01)

    def interrupt(self, number: int) -> None:
        """Signal the whole group, as a terminal does with Ctrl-C."""
        os.killpg(self.process.pid, number)


@pytest.fixture
def starting(stranger: Path, request: pytest.FixtureRequest) -> Iterator[Starting]:
    found = Starting(stranger, ignored=getattr(request, "param", False))
    yield found
    found.process.kill()
    found.process.wait()
    system.down(stranger / ".holdfast/local")


@pytest.mark.parametrize("moment", ["building", "starting the cloud", "writing the template", "deploying"])
def test_an_interrupted_start_leaves_nothing_running(starting: Starting, stranger: Path, moment: str) -> None:
    starting.wait_until(moment)

    starting.interrupt(signal.SIGINT)

    assert starting.process.wait(120) == 130
    assert "a system that was starting is stopped again" in starting.said
    assert processes_with(str(stranger)) == []
    assert list(stranger.glob(".holdfast/local/.cdk.out-*")) == []


@pytest.mark.parametrize("starting", [True], ids=["ignored"], indirect=True)
def test_a_start_that_ignores_interrupts_is_not_broken_by_one(starting: Starting, stranger: Path) -> None:
    """Nor is CDK's Node process, which forgets what whoever started it ignores."""
    starting.wait_until("writing the template")

    starting.interrupt(signal.SIGINT)

    starting.wait_until("deploying")
    starting.interrupt(signal.SIGTERM)  # which it does not ignore
    assert starting.process.wait(120) == 130
    assert processes_with(str(stranger)) == []


def processes_with(text: str) -> list[str]:
    """Return the command lines that contain *text*."""
    lines = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is no process
            lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return [line for line in lines if text in line]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A running system, with nothing deployed, whose state is not looked for anywhere."""
    state = tmp_path / "any where"
    lifecycle.start(state)
    (tmp_path / "holdfast.toml").write_text(f'{REGION}[databases.shop]\nprovider = "postgres"\n')
    (state / system.STATE).write_text(json.dumps({"configuration": str(tmp_path / "holdfast.toml"), "servers": []}))
    yield state
    lifecycle.down(state)


def test_a_state_elsewhere_is_reached_by_every_command(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elsewhere.parent)

    codes = [main.run(arguments) for arguments in (["--local", "points", "shop"], ["local", "status"])]
    blind = capsys.readouterr().err
    reached = main.run(["--state", str(elsewhere), "points", "shop"])
    said = capsys.readouterr().err
    shown = main.run(["--state", str(elsewhere), "local", "status"])
    suggested = capsys.readouterr().out
    stopped = main.run(["--state", str(elsewhere), "local", "down"])

    assert codes == [6, 6]
    assert "No local system runs for" in blind
    assert (reached, shown, stopped) == (6, 0, 0)
    assert "Nothing is deployed as holdfast" in said
    assert f"holdfast --local --state '{elsewhere}' backup shop --wait" in suggested
    assert f"holdfast local down --state '{elsewhere}'" in suggested
    assert lifecycle.status(elsewhere) is None


def test_the_aws_account_is_left_out_of_the_local_template(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(f'{REGION}account = "123456789012"\n')

    assert without_account(load(file)).holdfast.account is None


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A directory with nothing but a configuration, as somebody writes it who has read the README."""
    (tmp_path / "holdfast.toml").write_text('[databases.shop]\nprovider = "postgres"\nurl_env = "SHOP_URL"\n')
    return tmp_path


# Beside the systems of tests/system and the demo, not a third one at the same time.
@pytest.mark.xdist_group("system-2")
def test_a_strangers_database_takes_three_lines(stranger: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with EmbeddedPostgres(17, tmp_path_factory.mktemp("stranger") / "server") as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE things (id int PRIMARY KEY, name text)")
            connection.execute("INSERT INTO things SELECT n, 'thing ' || n FROM generate_series(1, 1000) n")

        def holdfast(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", "from holdfast_cli.entry import main; main()", *arguments],
                cwd=stranger,
                env={**os.environ, "SHOP_URL": server.url()},
                capture_output=True,
                text=True,
                check=False,
            )

        try:
            up = holdfast("local", "up", "--config", "holdfast.toml")
            backup = holdfast("--local", "backup", "shop", "--wait", "--json")
            again = holdfast("local", "up")
            restore = holdfast("--local", "restore", "shop", "--into", "things_again", "--wait", "--json")
            status = holdfast("--local", "status", "--json")
        finally:
            down = holdfast("local", "down", "--json")

    assert up.returncode == 0, up.stderr
    assert "holdfast --local backup shop --wait" in up.stdout
    assert backup.returncode == 0, backup.stderr
    assert json.loads(backup.stdout)["point"]["state"] == "intact"
    assert json.loads(backup.stdout)["point"]["rows"] == 1000
    assert "Dump the batches" in backup.stderr
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("unchanged") == 3
    assert restore.returncode == 0, restore.stderr
    assert json.loads(restore.stdout)["proof"]["proven"] is True
    assert isinstance(json.loads(restore.stdout)["notes"], list)
    assert json.loads(status.stdout)["databases"][0]["newest_proven"] is not None
    assert json.loads(down.stdout) == {"stopped": True}
