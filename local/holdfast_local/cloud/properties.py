"""
Refuse what nobody carries out: every resource type and property that a stack may have here.

ministack reports CREATE_COMPLETE and drops what it does not know. A lock that is declared and not there
is worse than none, so a stack fails on a type or property that is not in these tables. They were read
from the provisioners of the pinned version, property by property.

`CARRIED_OUT`    has its effect here, by ministack or by a module of this package
`RECORDED`       has no effect here, and need not have: what it does in AWS is not part of what the local
                 cloud shows. The reason stands beside each.
"""

from __future__ import annotations

from typing import Any

from holdfast_local.cloud import hooks

CARRIED_OUT: dict[str, str] = {
    "AWS::CDK::Metadata": "Analytics",
    "AWS::CloudWatch::Alarm": """
        ActionsEnabled AlarmActions AlarmDescription AlarmName ComparisonOperator DatapointsToAlarm Dimensions
        EvaluationPeriods ExtendedStatistic InsufficientDataActions MetricName Namespace OKActions Period Statistic Tags
        Threshold TreatMissingData Unit""",
    "AWS::CloudWatch::Dashboard": "DashboardBody DashboardName",
    "AWS::DynamoDB::GlobalTable": """
        AttributeDefinitions BillingMode GlobalSecondaryIndexes KeySchema LocalSecondaryIndexes Replicas
        StreamSpecification TableName TimeToLiveSpecification""",
    "AWS::DynamoDB::Table": """
        AttributeDefinitions BillingMode DeletionProtectionEnabled GlobalSecondaryIndexes KeySchema
        LocalSecondaryIndexes PointInTimeRecoverySpecification ProvisionedThroughput StreamSpecification TableName
        Tags TimeToLiveSpecification""",
    "AWS::EC2::RouteTable": "Tags VpcId",
    "AWS::EC2::SecurityGroup": """
        GroupDescription GroupName SecurityGroupEgress SecurityGroupIngress Tags VpcId""",
    "AWS::EC2::Subnet": "AvailabilityZone CidrBlock MapPublicIpOnLaunch Tags VpcId",
    "AWS::EC2::SubnetRouteTableAssociation": "RouteTableId SubnetId",
    "AWS::EC2::VPC": "CidrBlock EnableDnsHostnames EnableDnsSupport InstanceTenancy Tags",
    "AWS::EC2::VPCEndpoint": """
        PolicyDocument PrivateDnsEnabled RouteTableIds SecurityGroupIds ServiceName SubnetIds Tags VpcEndpointType
        VpcId""",
    "AWS::IAM::ManagedPolicy": "Description Groups ManagedPolicyName Path PolicyDocument Roles Users",
    "AWS::IAM::Policy": "Groups PolicyDocument PolicyName Roles Users",
    "AWS::IAM::Role": """
        AssumeRolePolicyDocument Description ManagedPolicyArns MaxSessionDuration Path PermissionsBoundary Policies
        RoleName Tags""",
    "AWS::KMS::Alias": "AliasName TargetKeyId",
    "AWS::KMS::Key": "Description Enabled KeyPolicy KeySpec KeyUsage MultiRegion Origin Tags",
    "AWS::KMS::ReplicaKey": "Description KeyPolicy PrimaryKeyArn Tags",
    "AWS::Lambda::EventInvokeConfig": """
        DestinationConfig FunctionName MaximumEventAgeInSeconds MaximumRetryAttempts Qualifier""",
    "AWS::Lambda::EventSourceMapping": """
        BatchSize Enabled EventSourceArn FilterCriteria FunctionName FunctionResponseTypes
        MaximumBatchingWindowInSeconds""",
    "AWS::Lambda::Function": """
        Architectures Code DeadLetterConfig Description Environment EphemeralStorage FunctionName Handler Layers
        LoggingConfig MemorySize PackageType ReservedConcurrentExecutions Role Runtime Tags Timeout""",
    "AWS::Lambda::LayerVersion": """
        CompatibleArchitectures CompatibleRuntimes Content Description LayerName LicenseInfo""",
    "AWS::Lambda::Permission": "Action FunctionName Principal SourceAccount SourceArn",
    "AWS::Logs::LogGroup": "KmsKeyId LogGroupClass LogGroupName RetentionInDays Tags",
    "AWS::S3::Bucket": """
        BucketEncryption BucketName CorsConfiguration NotificationConfiguration ObjectLockConfiguration
        ObjectLockEnabled OwnershipControls PublicAccessBlockConfiguration ReplicationConfiguration Tags
        VersioningConfiguration""",
    "AWS::S3::BucketPolicy": "Bucket PolicyDocument",
    "AWS::SNS::Subscription": """
        Endpoint FilterPolicy FilterPolicyScope Protocol RawMessageDelivery RedrivePolicy TopicArn""",
    "AWS::SNS::Topic": "DisplayName Subscription Tags TopicName",
    "AWS::SNS::TopicPolicy": "PolicyDocument Topics",
    "AWS::SQS::Queue": """
        DelaySeconds FifoQueue KmsDataKeyReusePeriodSeconds KmsMasterKeyId MaximumMessageSize MessageRetentionPeriod
        QueueName ReceiveMessageWaitTimeSeconds RedriveAllowPolicy RedrivePolicy SqsManagedSseEnabled Tags
        VisibilityTimeout""",
    "AWS::SQS::QueuePolicy": "PolicyDocument Queues",
    "AWS::SSM::Parameter": "Description Name Tags Tier Type Value",
    "AWS::Scheduler::Schedule": """
        Description EndDate GroupName Name ScheduleExpression ScheduleExpressionTimezone StartDate State Target""",
    "AWS::Scheduler::ScheduleGroup": "Name Tags",
    "AWS::SecretsManager::Secret": "Description GenerateSecretString KmsKeyId Name ReplicaRegions SecretString Tags",
    "AWS::StepFunctions::StateMachine": """
        Definition DefinitionS3Location DefinitionString DefinitionSubstitutions RoleArn StateMachineName
        StateMachineType Tags""",
}

RECORDED: dict[str, dict[str, str]] = {
    "AWS::DynamoDB::GlobalTable": {
        "SSESpecification": "nothing is encrypted at rest here",
        "WarmThroughput": "there is no throughput to warm",
        "WriteOnDemandThroughputSettings": "there is no throttling",
    },
    "AWS::DynamoDB::Table": {
        "ContributorInsightsSpecification": "a report for people",
        "SSESpecification": "nothing is encrypted at rest here",
        "TableClass": "a price",
    },
    "AWS::KMS::Key": {
        "BypassPolicyLockoutSafetyCheck": "asked of the creation only",
        "EnableKeyRotation": "kept; no time passes for it here",
        "PendingWindowInDays": "kept; no time passes for it here",
        "RotationPeriodInDays": "kept; no time passes for it here",
    },
    "AWS::Lambda::Function": {
        "KmsKeyArn": "the environment is not encrypted here",
        "RecursiveLoop": "loop detection does not exist here",
        "RuntimeManagementConfig": "the runtime is this machine's",
        "TracingConfig": "there is no X-Ray here; segments go nowhere",
        "VpcConfig": "kept and shown; the network is this machine's",
    },
    "AWS::S3::Bucket": {
        "LifecycleConfiguration": "kept and shown; no time passes for it here",
        "LoggingConfiguration": "access logs are not written here",
    },
    "AWS::SNS::Topic": {"KmsMasterKeyId": "nothing is encrypted at rest here"},
    "AWS::Scheduler::Schedule": {
        "FlexibleTimeWindow": "kept; a schedule fires at its time",
        "KmsKeyArn": "nothing is encrypted at rest here",
    },
    "AWS::StepFunctions::StateMachine": {
        "EncryptionConfiguration": "nothing is encrypted at rest here",
        "LoggingConfiguration": "executions are not logged here; their history is complete",
        "TracingConfiguration": "there is no X-Ray here",
    },
    "AWS::EC2::Subnet": {"Ipv6CidrBlock": "there is no network here"},
}


def install() -> None:
    """Check each resource before a stack makes or updates it."""
    provisioners = hooks.module("ministack.services.cloudformation.provisioners")
    create = provisioners._provision_resource
    update = provisioners._update_resource

    def checked_create(resource_type: str, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        check(resource_type, logical_id, props)
        return create(resource_type, logical_id, props, stack_name)

    def checked_update(  # noqa: PLR0917 (as the original)
        resource_type: str,
        physical_id: str,
        old_props: dict[str, Any],
        new_props: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        old_attrs: dict[str, Any] | None = None,
    ) -> Any:
        check(resource_type, logical_id or physical_id, new_props)
        return update(resource_type, physical_id, old_props, new_props, stack_name, logical_id, old_attrs)

    hooks.check(create, ("resource_type", "logical_id", "props", "stack_name"), where="_provision_resource")
    expected = ("resource_type", "physical_id", "old_props", "new_props", "stack_name", "logical_id", "old_attrs")
    hooks.check(update, expected, where="_update_resource")
    hooks.module("ministack.services.cloudformation.stacks")
    hooks.replace_imported("ministack.services.cloudformation", "_provision_resource", checked_create)
    hooks.replace_imported("ministack.services.cloudformation", "_update_resource", checked_update)


def check(resource_type: str, logical_id: str, properties: dict[str, Any]) -> None:
    """Raise ValueError naming the type, or every property, that nobody carries out."""
    if resource_type.startswith("AWS::CloudFormation::WaitCondition"):
        return
    if resource_type not in CARRIED_OUT:
        raise ValueError(f"{logical_id}: nobody carries out {resource_type} in the local cloud")
    known = set(CARRIED_OUT[resource_type].split()) | set(RECORDED.get(resource_type, {}))
    if unknown := properties.keys() - known:
        raise ValueError(
            f"{resource_type} {logical_id}: nobody carries out {', '.join(sorted(unknown))} in the local cloud"
        )


def unknown_in(template: dict[str, Any]) -> list[str]:
    """List every type and property of *template* that would be refused, for a test without a server."""
    refused = []
    for logical_id, resource in template.get("Resources", {}).items():
        try:
            check(resource["Type"], logical_id, resource.get("Properties", {}))
        except ValueError as error:
            refused.append(str(error))
    return refused
