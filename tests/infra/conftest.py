"""The synthesised templates, once for all tests here: with a VPC, without one, for AWS and for this machine."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")

CONFIGURATION = """
[holdfast]
name = "vault"
region = "eu-central-1"

[networks.production]
vpc_id = "vpc-0a1b2c3d4e5f60718"
availability_zones = ["eu-central-1a", "eu-central-1b"]
subnet_ids = ["subnet-0a1b2c3d4e5f60718", "subnet-1a2b3c4d5e6f70819"]
route_table_ids = ["rtb-0a1b2c3d4e5f60718"]

[databases.shop]
provider = "rds"
network = "production"
timezone = "Europe/Berlin"

[databases.shop.rds]
instance = "prod-1"

[databases.shop.tiers.daily]
schedule = "cron(15 1 * * ? *)"
flexible_minutes = 0

[databases.shop.tiers.monthly]
enabled = false

[databases.blog]
provider = "neon"
secret = "neon/blog"

[targets.spare]
secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:spare-AbCdEf"

[archive]
lock_days = 5

[functions]
log_days = 30

[monitoring]
emails = ["oncall@example.com"]
"""

Resource = dict[str, Any]


@cache
def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


@dataclass(frozen=True)
class Assembly:
    """What synthesis wrote to *directory*."""

    directory: Path

    def template(self, stack: str) -> dict[str, Any]:
        """Return the template of the stack storage, workflows or monitoring."""
        return _read(self.directory / f"vault-{stack}.template.json")

    def resources(self, stack: str, kind: str) -> dict[str, Resource]:
        """Return the resources of type AWS::<kind> by logical id."""
        found = self.template(stack)["Resources"]
        return {name: one for name, one in found.items() if one["Type"] == f"AWS::{kind}"}

    def named(self, stack: str, kind: str, prefix: str) -> Resource:
        """Return the one resource of *kind* whose logical id starts with *prefix*."""
        (found,) = [one for name, one in self.resources(stack, kind).items() if name.startswith(prefix)]
        return found

    def manifest(self) -> dict[str, Any]:
        """Return the assembly's manifest."""
        return _read(self.directory / "manifest.json")

    def nag_findings(self) -> Iterator[dict[str, str]]:
        """Yield every row of cdk-nag's reports."""
        reports = list(self.directory.glob("AwsSolutions-*.csv"))
        assert len(reports) == 3
        for report in reports:
            with report.open(newline="") as file:
                yield from csv.DictReader(file)


def small_layers(directory: Path) -> Mapping[str, Path]:
    """Return layers with one small file each: their content is the business of other tests."""
    layers = {name: directory / name for name in ("holdfast", "dependencies", "pgclient")}
    for name, path in layers.items():
        path.mkdir(parents=True, exist_ok=True)
        (path / "content").write_text(name)
    return layers


def synthesised(output: Path, target: str, *, nag: bool, text: str = CONFIGURATION) -> Assembly:
    """Synthesise the configuration above, or that in *text*."""
    from holdfast.configuration import load
    from holdfast_infra.app import synthesise

    file = output / "holdfast.toml"
    file.write_text(text)
    layers = small_layers(output / "layers" / target)
    synthesise(load(file), target=target, output=output / "out", build=lambda _: layers, nag=nag)
    return Assembly(output / "out")


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Return what is deployed to AWS."""
    return synthesised(tmp_path_factory.mktemp("aws"), "al2023-arm64", nag=True)


@pytest.fixture(scope="session")
def host_assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Return what is deployed to the local cloud."""
    return synthesised(tmp_path_factory.mktemp("host"), "host", nag=False)
