"""Find out whether one server answers at an address, or now this one and now that."""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress

import psycopg

from holdfast.adapters.postgres.connect import Connection, probe, translate
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.errors import BalancedEndpoint

PROBES = 3
"""How many of a name's other addresses are asked; a name with one address is asked once more."""

# Aurora's readers, and groups of instances that people put together; the writer's endpoint has neither word.
_BALANCED = re.compile(
    r"^(?P<cluster>[^.]+)\.cluster-(?P<kind>ro|custom)-(?P<rest>[^.]+\..+\.rds\.amazonaws\.com(\.cn)?)$"
)

# Copies of one cluster have the same identifier, but were not started in the same microsecond.
_WHO = """
    SELECT pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()), pg_catalog.inet_server_addr()::text,
           pg_catalog.inet_server_port(), pg_catalog.pg_is_in_recovery()
"""


def refuse_balanced_host(parameters: ConnectionParameters) -> None:
    """Raise `BalancedEndpoint` when the host's name says that it leads to several servers in turn."""
    if found := _BALANCED.match(parameters.host):
        raise BalancedEndpoint(
            f"{parameters.host} leads to another instance with each connection, and a snapshot lives on one only.",
            hint=f"Give the writer's endpoint, like {found['cluster']}.cluster-{found['rest']}, or that of one reader, "
            f"like {found['cluster']}-instance-1.{found['rest']}, with standby = true for the database.",
        )


def refuse_balanced(connection: Connection, parameters: ConnectionParameters, *, application_name: str) -> None:
    """
    Raise `BalancedEndpoint` when further connections do not reach the server that *connection* is to.

    Several addresses alone are no sign of that: providers put several gateways before one server. An address that
    does not answer says nothing.
    """
    here = _who(connection)
    for address in other_addresses(parameters, connection.info.hostaddr):
        other = probe(parameters.at_address(address), application_name=application_name)
        if other is None:
            continue
        with other:
            there = _who(other)
        if there != here and _who(connection) == here:
            raise BalancedEndpoint(f"More than one server answers at {parameters.host}:{parameters.port}.")


def other_addresses(parameters: ConnectionParameters, used: str) -> list[str]:
    """Return addresses to ask: the name's others of the family of *used*; where it has none, no one in particular."""
    if not used or parameters.host.startswith(("/", "@")):
        return []
    family = ipaddress.ip_address(used).version
    others = addresses_of(parameters.host) - {used}
    return sorted(each for each in others if ipaddress.ip_address(each).version == family)[:PROBES] or [""]


def addresses_of(host: str) -> set[str]:
    """Return the addresses that the name *host* has now."""
    with suppress(OSError):
        return {str(where[0]) for *_, where in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return set()


def _who(connection: Connection) -> tuple[object, ...]:
    try:
        row = connection.execute(_WHO).fetchone()
    except psycopg.Error as error:
        raise translate(error, doing="asking which server answers") from error
    return tuple(row or ())
