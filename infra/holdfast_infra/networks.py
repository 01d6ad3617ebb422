"""
The networks that databases are reached from: where functions sit, and how they reach AWS from there.

A function in a VPC has no way to AWS of its own. S3 and DynamoDB are reached through gateway endpoints, which cost
nothing; KMS, Secrets Manager and Step Functions through interface endpoints. Logs and traces need none.
"""

from __future__ import annotations

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
    """One `[networks.NAME]`: a security group for the functions where none is given, and the endpoints."""

    def __init__(self, scope: Construct, id: str, *, name: str, network: Network) -> None:
        super().__init__(scope, id)
        self._name, self._network = name, network
        self._groups = list(network.security_group_ids) or [self._own_group()]
        self.placement = self._placement()
        if network.endpoints:
            self._gateways()
            self._interfaces()

    def _own_group(self) -> str:
        group = ec2.CfnSecurityGroup(
            self,
            "Functions",
            group_description=f"Holdfast functions in {self._name}. Allow it in the security groups of the databases.",
            vpc_id=self._network.vpc_id,
            # Where databases listen is written in secrets, which the template must not know.
            security_group_egress=[{"ipProtocol": "-1", "cidrIp": "0.0.0.0/0", "description": "Databases and AWS"}],
        )
        CfnOutput(
            self, "GroupOutput", key=f"SecurityGroup{title(self._name)}", value=group.attr_group_id
        ).override_logical_id(f"SecurityGroup{title(self._name)}")
        return group.attr_group_id

    def _placement(self) -> Placement:
        network = self._network
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
            for number, group in enumerate(self._groups)
        )
        return Placement(vpc, tuple(vpc.private_subnets), groups)

    def _gateways(self) -> None:
        for service in GATEWAYS:
            ec2.CfnVPCEndpoint(
                self,
                title(service),
                vpc_id=self._network.vpc_id,
                service_name=f"com.amazonaws.{Aws.REGION}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=list(self._network.route_table_ids),
            )

    def _interfaces(self) -> None:
        entrance = ec2.CfnSecurityGroup(
            self,
            "Endpoints",
            group_description=f"AWS endpoints for Holdfast functions in {self._name}.",
            vpc_id=self._network.vpc_id,
            security_group_ingress=[
                {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "sourceSecurityGroupId": group}
                for group in self._groups
            ],
        )
        for service in INTERFACES:
            ec2.CfnVPCEndpoint(
                self,
                title(service),
                vpc_id=self._network.vpc_id,
                service_name=f"com.amazonaws.{Aws.REGION}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(self._network.subnet_ids),
                security_group_ids=[entrance.attr_group_id],
            )
