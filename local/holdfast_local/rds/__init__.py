"""A twin of RDS and Aurora: their API over real PostgreSQL, stateful, with transitional states and quotas."""

from holdfast_local.rds.account import Limits
from holdfast_local.rds.api import Fault
from holdfast_local.rds.serving import RdsTwin

__all__ = ["Fault", "Limits", "RdsTwin"]
