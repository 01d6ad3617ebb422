"""
The main job in a real AWS account: deploy, back up, verify, restore, prove; `make test-aws` runs it.

It costs a little, takes some minutes and is run by nobody but people: its name keeps it out of `make test`. Give
credentials in the usual way, and

    HOLDFAST_SMOKE_REGION   the region to deploy to (bootstrapped for CDK)
    HOLDFAST_SMOKE_URL      the URL of a small PostgreSQL database that Lambda can reach over the internet,
                            with a role that may read it and create databases

It deploys under the name `holdfast-smoke`, restores into a database named `holdfast_smoke_<time>` and removes that
one. The stacks stay, since their archive is locked. To remove them: lift termination protection and the table's
deletion protection, wait for the locks to end, empty the buckets, and `cdk destroy --all`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

ROOT = Path(__file__).parents[2]
CDK = ROOT / "local/node/node_modules/.bin/cdk"
NAME = "holdfast-smoke"
OUTER = dict(os.environ)  # before the tests' own fixture clears it
NEEDED = ("HOLDFAST_SMOKE_REGION", "HOLDFAST_SMOKE_URL")


class Account:
    """One deployed system and the command that speaks to it."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.configuration = directory / "holdfast.toml"
        self.assembly = directory / "cdk.out"
        self.environment = environment
        self.configuration.write_text(
            f'[holdfast]\nname = "{NAME}"\nregion = "{environment["HOLDFAST_SMOKE_REGION"]}"\n\n'
            '[databases.smoke]\nprovider = "postgres"\n'
            "[databases.smoke.tiers]\n"
            + "".join(f"{tier}.enabled = false\n" for tier in ("hourly", "daily", "weekly", "monthly")),
            encoding="utf-8",
        )

    def deploy(self) -> None:
        """Deploy all stacks, as an operator does."""
        application = f"{sys.executable} -m holdfast_infra.app"
        options = ["--output", str(self.assembly), "--context", f"configuration={self.configuration}"]
        self._run([str(CDK), "deploy", "--all", "--require-approval", "never", "--app", application, *options])

    def holdfast(self, *arguments: str) -> dict[str, Any]:
        """Run the command with `--json` and return what it says."""
        program = str(Path(sys.executable).with_name("holdfast"))
        done = self._run([program, "--config", str(self.configuration), "--json", *arguments])
        found: dict[str, Any] = json.loads(done)
        return found

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0, f"{command[0]} ended with {done.returncode}"
        return done.stdout


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    missing = [name for name in NEEDED if not OUTER.get(name)]
    if missing:
        pytest.fail(f"{' and '.join(missing)} must be set; the head of {__file__} says to what.")
    found = Account(tmp_path_factory.mktemp("aws"), OUTER)
    found.deploy()
    _store_secret(OUTER)
    return found


@pytest.fixture
def fresh(account: Account) -> Iterator[str]:
    name = f"holdfast_smoke_{int(time.time())}"
    yield name
    with psycopg.connect(account.environment["HOLDFAST_SMOKE_URL"], autocommit=True) as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _store_secret(environment: dict[str, str]) -> None:
    import boto3

    session = boto3.session.Session(region_name=environment["HOLDFAST_SMOKE_REGION"])
    secrets = session.client("secretsmanager")
    try:
        secrets.create_secret(Name=f"{NAME}/smoke", SecretString=environment["HOLDFAST_SMOKE_URL"])
    except secrets.exceptions.ResourceExistsException:
        secrets.put_secret_value(SecretId=f"{NAME}/smoke", SecretString=environment["HOLDFAST_SMOKE_URL"])


@pytest.mark.timeout(3600)
def test_the_main_job_in_an_account(account: Account, fresh: str) -> None:
    point = account.holdfast("backup", "smoke", "--wait")["point"]
    account.holdfast("restore", "smoke", "--point", point["id"], "--into", fresh, "--wait")

    shown = account.holdfast("show", point["id"])["point"]

    assert point["state"] == "intact"
    assert shown["state"] == "proven"
