"""What the suite plays on: servers, databases with and without faults, and one local system that protects them all."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from holdfast_cli.system import System, connected
from holdfast_local import system
from holdfast_local.postgres import EmbeddedPostgres, Server
from holdfast_local.postgres.certificates import issue
from system import providers
from system.providers import Providers
from system.relay import Relay

PASSWORD = "pl4ntedsecret:/+%"
"""The password of every role; it must show up nowhere."""
WRONG = "an0therwrong?&"
TOKENS = ("pl4ntedsecret", "an0therwrong")
"""What is found of them however they are quoted."""
HOST = "127.0.0.1"
SHOP = (Path(__file__).parents[1] / "restore" / "shop.sql").read_text(encoding="utf-8")
SMALL = """
    CREATE TABLE users (id int PRIMARY KEY, name text, doc jsonb);
    INSERT INTO users SELECT n, 'u' || n, jsonb_build_object('n', n) FROM generate_series(1, 500) n;
    CREATE TABLE orders (id serial PRIMARY KEY, user_id int REFERENCES users, total numeric(10, 2));
    INSERT INTO orders (user_id, total) SELECT n, n / 3.0 FROM generate_series(1, 500) n;
    CREATE VIEW big AS SELECT * FROM orders WHERE total > 100;
"""
LARGE = (
    SMALL
    + """
    CREATE TABLE sparse (id int) WITH (fillfactor = 10);
    INSERT INTO sparse SELECT generate_series(1, 10000);
    CREATE TABLE lines (id int, filler text);
    INSERT INTO lines SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 5000) n;
"""
)
"""1.6 MB of text in one table, which a stalled session stands still in; the one with more blocks comes before it."""
ROLES = f"""
    CREATE ROLE blind LOGIN PASSWORD '{PASSWORD}';
"""
BLIND = "GRANT SELECT ON users TO blind;"
DISTURBING = ("AWS_", "PG", "HOLDFAST_", "POWERTOOLS_", "COLUMNS")
"""Variables of the caller that the command is not to see; a download of a layer may need the others."""
STALLED = ("twice", "killed", "silent", "stopped")
"""Databases behind relays that stall the copying session."""


@dataclass(frozen=True)
class Done:
    """How a call of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """What people read, as one line."""
        return " ".join((self.out + self.err).split())


@dataclass
class World:
    """The running servers, relays and system; *directory* holds `holdfast.toml`."""

    directory: Path
    servers: Mapping[str, Server]
    relays: Mapping[str, Relay]
    urls: Mapping[str, str]
    providers: Providers
    said: list[str] = field(default_factory=list)
    _system: System | None = None

    @property
    def state(self) -> Path:
        return self.directory / ".holdfast" / "local"

    @property
    def system(self) -> System:
        """Return what the command itself sees of the system."""
        if self._system is None:
            self._system = connected(system.require(self.state))
        return self._system

    def holdfast(self, *arguments: str) -> Done:
        """Run the command in the directory of `holdfast.toml`."""
        done = holdfast(*arguments, directory=self.directory, urls=self.urls, environment=self.providers.environment)
        self.said.append(done.out + done.err)
        return done

    def backup(self, database: str) -> str:
        """Back *database* up and return the intact point's id."""
        done = self.holdfast("--local", "--json", "backup", database, "--wait")
        assert done.code == 0, done.said
        return str(done.json["point"]["id"])

    def restore(self, database: str, into: str, *options: str) -> Any:
        """Restore *database*'s newest point and return what the command says about it."""
        done = self.holdfast("--local", "--json", "restore", database, "--into", into, *options, "--wait")
        assert done.code == 0, done.said
        return done.json

    def start(self, workflow: str, **request: Any) -> str:
        """Start a machine as an operator does without the command; return the execution."""
        return self.system.runs.start(self.system.machine(workflow, "internet"), request, label=f"test-{workflow}")

    def ended(self, execution: str, seconds: float = 240) -> Any:
        """Wait for the end of an execution."""
        until(lambda: not self.system.runs.get(execution).running, seconds, f"the end of {execution}")
        return self.system.runs.get(execution)

    def points(self, database: str) -> list[dict[str, Any]]:
        done = self.holdfast("--local", "--json", "points", database)
        assert done.code == 0, done.said
        return list(done.json["points"])

    def chunks(self, database: str) -> dict[str, str]:
        """Return the chunks that the archive holds of *database*, each with the ids of all its versions."""
        pages = self.system.client("s3").get_paginator("list_object_versions")
        found: dict[str, str] = {}
        for page in pages.paginate(Bucket=self.system.output("ArchiveBucket"), Prefix=f"{database}/chunks/"):
            for each in page.get("Versions", []):
                found[each["Key"]] = f"{found.get(each['Key'], '')} {each['VersionId']}".strip()
        return found

    def query(self, server: str, database: str, text: str) -> list[tuple[Any, ...]]:
        """Ask a server directly, as its superuser."""
        with psycopg.connect(self.servers[server].url(database), autocommit=True) as connection:
            return connection.execute(text.encode()).fetchall()

    def sessions(self, database: str) -> list[str]:
        """Return the application names of Holdfast's sessions in *database* of the main server."""
        text = f"SELECT application_name FROM pg_stat_activity WHERE datname = '{database}'"
        return [name for (name,) in self.query("main", "postgres", text) if name.startswith("holdfast")]

    def exists(self, database: str, server: str = "main") -> bool:
        return bool(self.query(server, "postgres", f"SELECT FROM pg_database WHERE datname = '{database}'"))


def holdfast(
    *arguments: str,
    directory: Path,
    urls: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run the command in *directory*, with *urls* and *environment*, and nothing else that matters."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(DISTURBING)}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("holdfast")), *arguments],
        cwd=directory,
        env={**usual, **(environment or {}), **{variable(name): url for name, url in (urls or {}).items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def until(met: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until *met* answers true."""
    limit = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < limit, f"{what} did not come within {seconds} s"
        time.sleep(0.1)


def variable(name: str) -> str:
    """Return the environment variable with the URL of a database or target."""
    return f"URL_{name.upper().replace('-', '_')}"


@contextlib.contextmanager
def raised(directory: Path) -> Iterator[World]:
    """Start servers and system for as long as the block lasts."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        kinds = {"main": (18, False), "secure": (17, True), "old": (15, False)}
        starting = {
            name: pool.submit(
                stack.enter_context, EmbeddedPostgres(major, directory / name, tls=tls, password=PASSWORD)
            )
            for name, (major, tls) in kinds.items()
        }
        twins = pool.submit(stack.enter_context, Providers(directory / "providers"))
        servers = {name: started.result() for name, started in starting.items()}
        filled = pool.submit(_fill, servers)
        relays = _relays(servers["main"].port)
        for relay in relays.values():
            stack.callback(relay.close)
        urls = {**_urls(servers, relays, directory), **twins.result().urls}
        world = World(directory, servers, relays, urls, twins.result())
        text = holdfast_toml(world.urls) + twins.result().toml
        (directory / "holdfast.toml").write_text(text, encoding="utf-8")
        stack.callback(system.down, world.state)
        up = world.holdfast("local", "up")
        assert up.code == 0, up.said
        filled.result()
        yield world


def _fill(servers: Mapping[str, Server]) -> None:
    main = servers["main"]
    _run(main, "postgres", ROLES)
    databases = {"shop": SHOP, "small": SMALL, "blind": SMALL + BLIND, **dict.fromkeys((*STALLED, "loaded"), LARGE)}
    wanted = [(main, name, script) for name, script in databases.items()]
    wanted += [(servers["secure"], "small", SMALL), (servers["old"], "legacy", SMALL)]
    for each in wanted:
        create(*each)


def create(server: Server, name: str, script: str) -> None:
    """Create a database and run *script* in it."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    _run(server, name, script)


def _run(server: Server, database: str, script: str) -> None:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        connection.execute(script.encode())


def _relays(port: int) -> dict[str, Relay]:
    stalling = {name: Relay(port, stalls="holdfast dump") for name in STALLED}
    # A pooler greets with a process id of its own: here with the high half changed.
    pooled = Relay(port, rewriting={b"K\0\0\0\x0c\0": b"K\0\0\0\x0c\x7f"})
    newer = Relay(port, rewriting={b"server_version\x0018": b"server_version\x0019"})
    return {**stalling, "loaded": Relay(port, stalls="holdfast restore load"), "pooled": pooled, "newer": newer}


def _urls(servers: Mapping[str, Server], relays: Mapping[str, Relay], directory: Path) -> dict[str, str]:
    main, secure = servers["main"], servers["secure"]
    stranger = directory / "stranger.pem"
    stranger.write_bytes(issue().authority)
    small = main.url("small")

    def at(host: str, port: int = main.port) -> str:
        return small.replace(f"@{HOST}:{main.port}", f"@{host}:{port}")

    def through(name: str, database: str) -> str:
        return main.url(database).replace(f":{main.port}/", f":{relays[name].port}/")

    distrusting = urlencode({"sslmode": "verify-full", "sslrootcert": str(stranger)}, quote_via=quote)
    return {
        "shop": main.url("shop"),
        "small": small,
        **dict.fromkeys(("plain", "nightly", "secrets"), small),
        "secure": secure.url("small"),
        "legacy": servers["old"].url("legacy"),
        "wrong-password": main.url("small", "postgres", WRONG),
        "unreachable": at(HOST, 1),
        "misspelt": at("db.example.invalid"),
        "no-tls": f"{small}?sslmode=require",
        "stranger": f"{secure.url('small').partition('?')[0]}?{distrusting}",
        "neon": at("ep-cool-1234-pooler.eu-central-1.aws.neon.tech", 5432),
        "rds-proxy": at("shop.proxy-abc123.eu-central-1.rds.amazonaws.com", 5432),
        "orm": f"{small}?pgbouncer=true",
        "pooled": through("pooled", "small"),
        "newer": through("newer", "small"),
        "blind": main.url("blind", "blind", PASSWORD),
        **{name: through(name, name) for name in (*STALLED, "loaded")},
        "spare": main.url(),
    }


TARGETS = ("spare",)


def holdfast_toml(urls: Mapping[str, str], *more: str) -> str:
    """Return a configuration of these databases and targets; *more* lines go to each database."""
    lines = ["[holdfast]", 'name = "suite"', 'region = "eu-central-1"']
    for name in urls:
        if name in providers.NAMES:
            continue
        if name in TARGETS:
            lines += [f"[targets.{name}]", f'url_env = "{variable(name)}"']
            continue
        lines += [f"[databases.{name}]", 'provider = "postgres"', f'url_env = "{variable(name)}"', *more]
        if name != "nightly":
            lines += [f"tiers.{tier}.enabled = false" for tier in ("hourly", "daily", "weekly", "monthly")]
    return "\n".join(lines) + "\n"
