"""Networks: the endpoints that functions in a VPC need, once for each VPC, and who may use them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import CONFIGURATION, Assembly, synthesised

pytestmark = pytest.mark.xdist_group("infra")

SECOND = """
[networks.staging]
vpc_id = "vpc-0a1b2c3d4e5f60718"
availability_zones = ["eu-central-1b", "eu-central-1c"]
subnet_ids = ["subnet-2a2b3c4d5e6f70819", "subnet-3a2b3c4d5e6f70819"]
security_group_ids = ["sg-0a1b2c3d4e5f60718"]
route_table_ids = ["rtb-0a1b2c3d4e5f60718", "rtb-1a1b2c3d4e5f60718"]
endpoints = {endpoints}

[databases.test]
provider = "rds"
network = "staging"
"""


def endpoints(assembly: Assembly) -> list[dict[str, Any]]:
    """Return the properties of all endpoints."""
    return [one["Properties"] for one in assembly.resources("workflows", "EC2::VPCEndpoint").values()]


def entrance(assembly: Assembly) -> list[dict[str, Any]]:
    """Return who is let in to the endpoints."""
    groups = assembly.resources("workflows", "EC2::SecurityGroup")
    (found,) = [one["Properties"] for name, one in groups.items() if "Endpoints" in name]
    return list(found["SecurityGroupIngress"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Return what is deployed for two networks of one VPC."""
    text = CONFIGURATION + SECOND.format(endpoints="true")
    return synthesised(tmp_path_factory.mktemp("shared"), "al2023-arm64", nag=False, text=text)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Return what is deployed when the second network asks for no endpoints."""
    text = CONFIGURATION + SECOND.format(endpoints="false")
    return synthesised(tmp_path_factory.mktemp("beside"), "al2023-arm64", nag=False, text=text)


def test_two_networks_of_one_vpc_share_its_endpoints(shared: Assembly) -> None:
    found = endpoints(shared)

    assert len(found) == 5
    gateways = [one for one in found if one["VpcEndpointType"] == "Gateway"]
    assert [one["RouteTableIds"] for one in gateways] == 2 * [["rtb-0a1b2c3d4e5f60718", "rtb-1a1b2c3d4e5f60718"]]
    interfaces = [one["SubnetIds"] for one in found if one["VpcEndpointType"] == "Interface"]
    # One of each zone.
    assert interfaces == 3 * [["subnet-0a1b2c3d4e5f60718", "subnet-1a2b3c4d5e6f70819", "subnet-3a2b3c4d5e6f70819"]]


def test_shared_endpoints_let_the_functions_of_both_networks_in(shared: Assembly, beside: Assembly) -> None:
    for assembly in (shared, beside):
        sources = [rule["SourceSecurityGroupId"] for rule in entrance(assembly)]
        assert "sg-0a1b2c3d4e5f60718" in sources
        assert len(sources) == 2


def test_a_network_without_endpoints_adds_none(beside: Assembly) -> None:
    assert {tuple(one["SubnetIds"]) for one in endpoints(beside) if "SubnetIds" in one} == {
        ("subnet-0a1b2c3d4e5f60718", "subnet-1a2b3c4d5e6f70819")
    }


def test_a_network_has_the_endpoints_that_functions_need(assembly: Assembly) -> None:
    found = [one["Properties"] for one in assembly.resources("workflows", "EC2::VPCEndpoint").values()]

    kinds = {json.dumps(one["ServiceName"]).rpartition(".")[2].rstrip('"]}'): one["VpcEndpointType"] for one in found}

    assert kinds == {
        "s3": "Gateway",
        "dynamodb": "Gateway",
        "kms": "Interface",
        "secretsmanager": "Interface",
        "states": "Interface",
    }
    assert {tuple(one["RouteTableIds"]) for one in found if "RouteTableIds" in one} == {("rtb-0a1b2c3d4e5f60718",)}


def test_endpoints_are_reached_by_the_functions_only(assembly: Assembly) -> None:
    groups = assembly.resources("workflows", "EC2::SecurityGroup")
    (entrance,) = [one["Properties"] for name, one in groups.items() if "Endpoints" in name]

    (rule,) = entrance["SecurityGroupIngress"]

    assert (rule["FromPort"], rule["ToPort"], rule["IpProtocol"]) == (443, 443, "tcp")
    assert "NetworkFunctions" in json.dumps(rule["SourceSecurityGroupId"])
