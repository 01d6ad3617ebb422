"""
The networks that databases are reached from: where functions sit, and how they reach AWS from there.

A function in a VPC has no way to AWS of its own. S3 and DynamoDB are reached through gateway endpoints, which cost
nothing; KMS, Secrets Manager and Step Functions through interface endpoints. Logs and traces need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Annotations, Aws, CfnOutput
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from holdfast.configuration import Network
from holdfast_infra.access import allow
from holdfast_infra.names import title

GATEWAYS = ("s3", "dynamodb")
INTERFACES = ("kms", "secretsmanager", "states")
_INTERFACE_ACTIONS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


@dataclass(frozen=True)
class Placement:
    """Where in a VPC a function sits."""

    vpc: ec2.IVpc
    subnets: tuple[ec2.ISubnet, ...]
    security_groups: tuple[ec2.ISecurityGroup, ...]

    def arguments(self) -> dict[str, Any]:
        """Return what the function's construct takes."""
        return {
            "vpc": self.vpc,
            "vpc_subnets": ec2.SubnetSelection(subnets=list(self.subnets)),
            "security_groups": list(self.security_groups),
        }

    def statement(self) -> iam.PolicyStatement:
        """Return what Lambda needs to put a function into a VPC; these actions take no resource."""
        return allow(_INTERFACE_ACTIONS, "*")


class HoldfastNetwork(Construct):
    """One `[networks.NAME]`: where its functions sit, with a security group of their own where none is given."""

    def __init__(self, scope: Construct, id: str, *, name: str, network: Network) -> None:
        super().__init__(scope, id)
        self._name, self.network = name, network
        self.groups = list(network.security_group_ids) or [self._own_group()]
        self.placement = self._placement()

    def _own_group(self) -> str:
        group = ec2.CfnSecurityGroup(
            self,
            "Functions",
            group_description=f"Holdfast functions in {self._name}. Allow it in the security groups of the databases.",
            vpc_id=self.network.vpc_id,
            # Where databases listen is written in secrets, which the template must not know.
            security_group_egress=[{"ipProtocol": "-1", "cidrIp": "0.0.0.0/0", "description": "Databases and AWS"}],
        )
        CfnOutput(
            self, "GroupOutput", key=f"SecurityGroup{title(self._name)}", value=group.attr_group_id
        ).override_logical_id(f"SecurityGroup{title(self._name)}")
        return group.attr_group_id

    def _placement(self) -> Placement:
        network = self.network
        vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=network.vpc_id,
            availability_zones=list(network.availability_zones),
            private_subnet_ids=list(network.subnet_ids),
        )
        for subnet in vpc.private_subnets:
            Annotations.of(subnet).acknowledge_warning(
                "@aws-cdk/aws-ec2:noSubnetRouteTableId", "Endpoints name the route tables themselves."
            )
        groups = tuple(
            ec2.SecurityGroup.from_security_group_id(self, f"Group{number}", group, mutable=False)
            for number, group in enumerate(self.groups)
        )
        return Placement(vpc, tuple(vpc.private_subnets), groups)


class VpcEndpoints(Construct):
    """
    The endpoints of one VPC, for all networks in it.

    A second interface endpoint of a service, or a second gateway in a route table, would be refused by AWS: two
    networks of one VPC share theirs. Those that ask for none are let in too, since the names resolve for them as well.
    """

    def __init__(self, scope: Construct, id: str, *, networks: Sequence[HoldfastNetwork]) -> None:
        super().__init__(scope, id)
        self._vpc_id = networks[0].network.vpc_id
        self._groups = list(dict.fromkeys(group for one in networks for group in one.groups))
        asking = [one.network for one in networks if one.network.endpoints]
        self._tables = list(dict.fromkeys(table for one in asking for table in one.route_table_ids))
        self._subnets = _one_of_each_zone(asking)
        self._gateways()
        self._interfaces()

    def _gateways(self) -> None:
        for service in GATEWAYS:
            ec2.CfnVPCEndpoint(
                self,
                title(service),
                vpc_id=self._vpc_id,
                service_name=f"com.amazonaws.{Aws.REGION}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=self._tables,
            )

    def _interfaces(self) -> None:
        entrance = ec2.CfnSecurityGroup(
            self,
            "Endpoints",
            group_description=f"AWS endpoints for Holdfast functions in {self._vpc_id}.",
            vpc_id=self._vpc_id,
            security_group_ingress=[
                {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "sourceSecurityGroupId": group}
                for group in self._groups
            ],
        )
        for service in INTERFACES:
            ec2.CfnVPCEndpoint(
                self,
                title(service),
                vpc_id=self._vpc_id,
                service_name=f"com.amazonaws.{Aws.REGION}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self._subnets,
                security_group_ids=[entrance.attr_group_id],
            )


def add_endpoints(scope: Construct, networks: Iterable[HoldfastNetwork]) -> None:
    """Add the endpoints of every VPC in which a network asks for them."""
    by_vpc: dict[str, list[HoldfastNetwork]] = {}
    for one in networks:
        by_vpc.setdefault(one.network.vpc_id, []).append(one)
    for vpc, inside in by_vpc.items():
        if any(one.network.endpoints for one in inside):
            VpcEndpoints(scope, title(vpc), networks=inside)


def _one_of_each_zone(networks: Iterable[Network]) -> list[str]:
    """Return a subnet of each availability zone: an interface endpoint takes no more."""
    found: dict[str, str] = {}
    for one in networks:
        for zone, subnet in zip(one.availability_zones, one.subnet_ids, strict=True):
            found.setdefault(zone, subnet)
    return list(found.values())
