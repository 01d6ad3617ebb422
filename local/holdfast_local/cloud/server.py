"""
The local cloud's server process: ministack with everything that this package adds to it.

`python -m holdfast_local.cloud.server --directory DIR [--port N] [--region R] [--objects-on-disk] [--schedules-fire]`
answers on the loopback interface only, judges permissions, and writes `endpoint.json` into the directory
when it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast_local.cloud import hooks

if TYPE_CHECKING:
    from holdfast_local.cloud.runner import Runner

ACCOUNT = "000000000000"
DEFAULT_REGION = "eu-central-1"
ACCOUNT_CONCURRENCY = 1000  # AWS's own default; ministack would cut it by the memory of the machine


ELSEWHERE = ("AWS_ENDPOINT_URL_RDS", "HOLDFAST_NEON_ENDPOINT")
"""Variables by which whoever starts the cloud leads functions to providers that are not here."""


@dataclass(frozen=True)
class Options:
    """What one server is started with; `port` 0 takes any free one."""

    directory: Path
    port: int = 0
    region: str = DEFAULT_REGION
    objects_on_disk: bool = False
    schedules_fire: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes."""
    options = _options(arguments)
    options.directory.mkdir(parents=True, exist_ok=True)
    elsewhere = {name: os.environ[name] for name in ELSEWHERE if os.environ.get(name)}
    listener = socket.create_server(("127.0.0.1", options.port), backlog=256)
    port = listener.getsockname()[1]
    _prepare_environment(options, port)
    _raise_file_limit()
    # Only now: ministack reads its settings while it is imported.
    runner = _assemble(options, f"http://127.0.0.1:{port}", elsewhere)
    try:
        asyncio.run(_serve(options, listener, runner))
    finally:
        runner.close()
    return 0


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Holdfast's local cloud")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--region", default=DEFAULT_REGION)
    parser.add_argument("--objects-on-disk", action="store_true")
    parser.add_argument("--schedules-fire", action="store_true")
    parsed = parser.parse_args(arguments)
    return Options(
        parsed.directory.resolve(), parsed.port, parsed.region, parsed.objects_on_disk, parsed.schedules_fire
    )


def _prepare_environment(options: Options, port: int) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "MINISTACK_", "LAMBDA_", "S3_"))]:
        del os.environ[name]
    os.environ.update(
        {
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": options.region,
            "MOTO_ACCOUNT_ID": ACCOUNT,
            "AWS_DEFAULT_REGION": options.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "LAMBDA_ACCOUNT_CONCURRENCY": str(ACCOUNT_CONCURRENCY),
            "S3_PERSIST": "1" if options.objects_on_disk else "0",
            "S3_DATA_DIR": str(options.directory / "objects"),
            "STATE_DIR": str(options.directory / "services"),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "LOG_LEVEL": "WARNING",
        }
    )


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _assemble(options: Options, endpoint: str, elsewhere: Mapping[str, str]) -> Runner:
    from holdfast_local.cloud import assembly

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    return assembly.assemble(
        options.directory, endpoint=endpoint, schedules_fire=options.schedules_fire, elsewhere=elsewhere
    )


async def _serve(options: Options, listener: socket.socket, runner: Runner) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, runner)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    config.loglevel = "WARNING"
    _announce(options, listener.getsockname()[1])
    await serve(hooks.module("ministack.app").app, config, shutdown_trigger=asyncio.Event().wait)


def _end(runner: Runner) -> None:
    # At once: requests that wait for a function would be waited for otherwise, and nothing here is kept.
    runner.close()
    logging.shutdown()
    os._exit(0)


def _announce(options: Options, port: int) -> None:
    partial = options.directory / "endpoint.json.partial"
    partial.write_text(
        json.dumps({"port": port, "pid": os.getpid(), "region": options.region, "account": ACCOUNT}), encoding="utf-8"
    )
    partial.replace(options.directory / "endpoint.json")


if __name__ == "__main__":
    sys.exit(main())
