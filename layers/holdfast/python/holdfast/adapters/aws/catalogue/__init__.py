"""
The catalogue in one DynamoDB table, keys `pk` and `sk`.

    pk               sk                              what
    db#<database>    point#<point>                   a recovery point
    db#<database>    lock#backup                     which run holds the database's lock
    db#<database>    hold#<point>                    a running backup's exported snapshot
    db#<database>    restore#<started>#<restore>     a restore, in the order of time
    restore#<id>     key                             where that restore lies
    target#<sha256>  lock#restore                    which restore writes into that target
    turn#<thing>     turn                            who changes a thing of a provider's at this moment

Partitions are small (one database's points), every read is strongly consistent, and no index is needed.
"""

from holdfast.adapters.aws.catalogue.holds import DynamoHolds
from holdfast.adapters.aws.catalogue.points import DynamoPoints
from holdfast.adapters.aws.catalogue.restores import DynamoRestores
from holdfast.adapters.aws.catalogue.turns import DynamoTurns

__all__ = ["DynamoHolds", "DynamoPoints", "DynamoRestores", "DynamoTurns"]
