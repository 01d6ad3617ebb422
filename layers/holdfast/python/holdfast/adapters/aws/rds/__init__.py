"""RDS and Aurora, by AWS's API."""

from holdfast.adapters.aws.rds.clusters import AuroraCluster
from holdfast.adapters.aws.rds.database import Elsewhere
from holdfast.adapters.aws.rds.instances import RdsInstance

__all__ = ["AuroraCluster", "Elsewhere", "RdsInstance"]
