"""Connection parameters: read from a secret, handed to libpq and to programs, never shown."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.adapters.postgres.bundle import certificate_bundle
from holdfast.errors import BadConfiguration, HoldfastError, PooledEndpoint

_SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
_KEPT = {"sslmode", "sslrootcert", "options", "channel_binding"}
# What ORMs and other drivers put into their URLs; libpq knows none or we set it ourselves.
_IGNORED = {
    "application_name", "connect_timeout", "connection_limit", "pool_timeout", "schema", "statement_cache_size",
    "sslaccept", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "gssencmode",
    "target_session_attrs", "uselibpqcompat", "statement_timeout", "socket_timeout", "client_encoding", "timezone",
}  # fmt: skip
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 60,  # NAT gateways drop what is silent for 350 s
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 120_000,
}
"""What every connection of ours is kept alive with, and how soon a dead one is noticed: seconds, the last in ms."""
_EXAMPLE = (
    "It is a URL like postgresql://user:password@host:5432/database, "
    "or JSON with host, port, username, password, dbname."
)


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionParameters:
    """
    How to reach one database. Its text never appears in messages: `repr` gives host and database only.

    An empty *sslmode* means `verify-full` with the bundle of certificate authorities that lies beside the
    client programs, or `prefer` on this machine (loopback, Unix socket).
    """

    host: str
    port: int
    user: str
    password: str
    dbname: str
    sslmode: str = ""
    sslrootcert: str = ""
    options: str = ""
    channel_binding: str = ""
    address: str = ""

    def __repr__(self) -> str:
        return f"ConnectionParameters({self.host}:{self.port}/{self.dbname})"

    @classmethod
    def from_secret(cls, text: str) -> Self:
        """
        Read the text of a secret: a URL, or a JSON object with `url` or with `host`, `username`, ….

        Raises `BadConfiguration` in one sentence that never quotes the text, and `PooledEndpoint` for a URL
        that says itself that it leads to PgBouncer.
        """
        try:
            return cls(**_checked(_values(text.strip())))
        except HoldfastError:
            raise
        except (ValueError, TypeError, AttributeError):
            # `from None`: the cause's text quotes the secret.
            raise BadConfiguration("The secret of the database cannot be read.", hint=_EXAMPLE) from None

    def text_at(self, host: str, port: int, *, user: str = "", password: str = "") -> str:
        """Return the text of a secret for the same database at another address, with another login where given."""
        values = {
            "host": host,
            "port": port,
            "username": user or self.user,
            "password": password if user else self.password,
            "dbname": self.dbname,
        }
        return json.dumps({**values, **{key: getattr(self, key) for key in sorted(_KEPT) if getattr(self, key)}})

    def with_database(self, name: str) -> Self:
        """Return the same server and role, but the database *name*."""
        return replace(self, dbname=name)

    def with_settings(self, settings: Mapping[str, str | int]) -> Self:
        """Return the same, with *settings* in force from a session's first moment; no value may hold a space."""
        options = [self.options] if self.options else []
        return replace(self, options=" ".join([*options, *(f"-c {name}={value}" for name, value in settings.items())]))

    def at_address(self, address: str) -> Self:
        """Return the same, reached at this one of the addresses that the host's name has."""
        return replace(self, address=address)

    @property
    def local(self) -> bool:
        """Whether the server is reached without leaving this machine."""
        if self.host.startswith(("/", "@")) or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def keywords(self) -> dict[str, str]:
        """Return libpq's keywords and values, TLS defaults included."""
        mode = self.sslmode or ("prefer" if self.local else "verify-full")
        authorities = self.sslrootcert or (certificate_bundle() if mode.startswith("verify") else "")
        values = {
            "host": self.host,
            "hostaddr": self.address,
            "port": str(self.port),
            "user": self.user,
            "password": self.password,
            "dbname": self.dbname,
            "sslmode": mode,
            "sslrootcert": authorities,
            "options": self.options,
            "channel_binding": self.channel_binding,
            "gssencmode": "disable",
        }
        return {key: value for key, value in values.items() if value}

    def environment(self) -> dict[str, str]:
        """Return the PG* variables for a program; a command line would show the password to everybody."""
        return {_VARIABLES.get(key, f"PG{key.upper()}"): value for key, value in self.keywords().items()}


_VARIABLES = {"dbname": "PGDATABASE", "channel_binding": "PGCHANNELBINDING"}


def _values(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return _from_url(text)
    found = json.loads(text)
    url = found.get("url") or found.get("uri") or found.get("connectionString")
    if url:
        return _from_url(str(url))
    kept = {key: str(found[key]) for key in _KEPT if found.get(key)}
    return {
        "host": found.get("host"),
        "port": found.get("port") or 5432,
        "user": found.get("username") or found.get("user"),
        "password": found.get("password") or "",
        "dbname": found.get("dbname") or found.get("database"),
        **kept,
    }


def _from_url(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    if parts.scheme not in {"postgres", "postgresql"} or parts.fragment:
        raise BadConfiguration("The secret of the database is no PostgreSQL URL.", hint=_EXAMPLE)
    query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    if query.pop("pgbouncer", "false") == "true":
        raise PooledEndpoint("The URL of the database says pgbouncer=true: a pooler answers there.")
    host = query.pop("host", None) or unquote(parts.hostname or "")
    if set(query) - _KEPT - _IGNORED:
        # Its name is not told: it may be a piece of a password with an unescaped `?` or `&`.
        raise BadConfiguration(
            "The URL of the database has a parameter that Holdfast does not know.",
            hint=f"Known are {', '.join(sorted(_KEPT))}; special characters in passwords must be percent-encoded.",
        )
    return {
        "host": host,
        "port": parts.port or 5432,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.removeprefix("/")),
        **{key: value for key, value in query.items() if key in _KEPT},
    }


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("host", "user", "dbname") if not values.get(name)]
    if missing:
        words = {"user": "username", "dbname": "dbname (the database)"}
        names = ", ".join(words.get(name, name) for name in missing)
        raise BadConfiguration(f"The secret of the database lacks {names}.", hint=_EXAMPLE)
    if "," in values["host"]:
        raise BadConfiguration("The secret of the database names several hosts.", hint="Name the primary's only.")
    if values.get("sslmode", "prefer") not in _SSL_MODES:
        raise BadConfiguration(
            "The secret of the database has an unknown sslmode.", hint=f"Known are {', '.join(sorted(_SSL_MODES))}."
        )
    if any("\0" in str(value) for value in values.values()):
        raise ValueError("NUL")
    return {**values, "port": _port(values["port"])}


def _port(value: object) -> int:
    port = int(str(value))
    if not 0 < port < 65536:
        raise ValueError("port")
    return port
