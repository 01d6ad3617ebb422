"""The template deployed here is the template for AWS, but for processor, Python and packages."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys

import pytest

from holdfast_local.cloud import properties
from holdfast_local.cloud.differences import allowed_differences, differences

FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Architectures": ["arm64"],
        "Runtime": "python3.13",
        "Code": {"S3Bucket": "b", "S3Key": "1.zip"},
        "Timeout": 900,
        "Environment": {"Variables": {"TABLE": {"Ref": "Table"}}},
    },
}
TEMPLATE = {"Resources": {"Dump": FUNCTION}, "Outputs": {}}

CONFIGURATION = """
[holdfast]
name = "vault"
region = "eu-central-1"

[databases.shop]
provider = "postgres"
secret = "shop"
"""

SYNTHESISE = """
import sys
from pathlib import Path
from holdfast.configuration import load
from holdfast_infra.app import synthesise

def layers(target):
    found = {name: Path(target, name) for name in ("holdfast", "dependencies", "pgclient")}
    for name, path in found.items():
        path.mkdir(parents=True)
        (path / "content").write_text(f"{name} for {target}")
    return found

for target in ("al2023-arm64", "host"):
    synthesise(load("holdfast.toml"), target=target, output=Path(f"out-{target}"), build=layers)
"""


def changed(*path: str, to: object) -> dict:
    template = copy.deepcopy(TEMPLATE)
    place = template
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return template


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(("Resources", "Dump", "Properties", "Architectures"), id="architecture"),
        pytest.param(("Resources", "Dump", "Properties", "Runtime"), id="runtime"),
        pytest.param(("Resources", "Dump", "Properties", "Code", "S3Key"), id="package"),
    ],
)
def test_what_follows_from_another_processor_may_differ(path) -> None:
    value = ["x86_64"] if path[-1] == "Architectures" else "other"

    assert differences(TEMPLATE, changed(*path, to=value)) == []
    assert len(allowed_differences(TEMPLATE, changed(*path, to=value))) == 1


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        pytest.param(
            ("Resources", "Dump", "Properties", "Timeout"), 60, "Resources/Dump/Properties/Timeout", id="limit"
        ),
        pytest.param(("Resources", "Extra"), {}, "Resources/Extra", id="a resource more"),
        pytest.param(("Outputs", "X"), {}, "Outputs/X", id="an output"),
        pytest.param(
            ("Resources", "Dump", "Properties", "Environment", "Variables", "LOCAL"),
            "1",
            "Resources/Dump/Properties/Environment/Variables/LOCAL",
            id="a variable",
        ),
    ],
)
def test_anything_else_is_named(path, value, named) -> None:
    assert differences(TEMPLATE, changed(*path, to=value)) == [named]


def test_the_synthesized_app_differs_for_this_machine_in_nothing_else(tmp_path) -> None:
    (tmp_path / "holdfast.toml").write_text(CONFIGURATION)
    environment = {**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20"}

    subprocess.run([sys.executable, "-c", SYNTHESISE], cwd=tmp_path, env=environment, check=True, timeout=120)

    aws, host = tmp_path / "out-al2023-arm64", tmp_path / "out-host"
    names = sorted(path.name for path in aws.glob("*.template.json"))
    assert names == sorted(path.name for path in host.glob("*.template.json"))
    assert len(names) == 3
    for name in names:
        one, other = (json.loads((place / name).read_text()) for place in (aws, host))
        assert differences(one, other) == []
        assert properties.unknown_in(one) == []
    workflows = next(name for name in names if "workflows" in name)
    one, other = (json.loads((place / workflows).read_text()) for place in (aws, host))
    assert any(path.endswith("Runtime") for path in allowed_differences(one, other)) or sys.version_info[:2] == (3, 13)
