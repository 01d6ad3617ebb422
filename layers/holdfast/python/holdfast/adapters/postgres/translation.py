"""Translate PostgreSQL's errors into Holdfast's, without carrying row data or secrets along."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg

from holdfast.errors import (
    AuthenticationFailed,
    BadConfiguration,
    DatabaseBusy,
    DatabaseUnreachable,
    HoldfastError,
    PooledEndpoint,
    PrivilegeMissing,
    SourceDiskFull,
    SourceRefused,
    TlsRefused,
    UnexpectedState,
)

_BUSY = {"55P03", "55006", "53300", "53200", "40001", "40P01", "57014", "25P03", "25P04"}
_UNREACHABLE = {"57P01", "57P02", "57P03", "57P05", "58000", "58030"}

RECOVERY_CONFLICT = "40001"
"""What a standby ends a session with that stands in the way of replay; nobody else does that to a reader."""
_AGAIN = "Holdfast tries again by itself; if it persists, "
_REMEDIES = {
    RECOVERY_CONFLICT: "On a standby, replay ended it: raise max_standby_streaming_delay there and set "
    "hot_standby_feedback = on, or back the primary up.",
    "53300": f"{_AGAIN}raise max_connections or the role's or database's CONNECTION LIMIT, or lower concurrency.",
    "53200": f"{_AGAIN}raise max_locks_per_transaction and restart the server, or give it more memory.",
    "53400": "Raise the limit that the server names: temp_file_limit, for one, with ALTER ROLE … SET temp_file_limit.",
    "57014": f"{_AGAIN}find out who cancels the backup's statements.",
    "57P01": f"{_AGAIN}find out who ends the backup's sessions.",
}
"""Hints for codes of which more is known than that the call may be made again."""

# Classes whose sentences name things, never values; what functions of the application raise may say anything.
SPEAKING = {"08", "0A", "25", "26", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "F0", "XX"}
QUOTING = {"0A", "3D", "3F", "42"}
"""Of these, those whose sentences hold a value where a row's text is read as a name, like regclass's."""
_OF_THE_MACHINE = {"53", "58"}
_RAISED = {"exec_stmt_raise"}

_TLS = re.compile(
    r"SSL|TLS|certificate|root\.crt|no encryption|channel binding required", re.IGNORECASE
)  # fmt: skip
_PASSWORD = re.compile(r"password authentication failed|no password supplied", re.IGNORECASE)
_PLAIN = re.compile(r"no encryption|SSL off")
_REFUSED = re.compile(
    r"authentication failed|role .* does not exist"
    r"|no pg_hba\.conf entry|is not permitted to log in|SCRAM|PAM|Peer authentication",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"[^"]*"')
_NO_DATABASE = re.compile(r"database .* does not exist", re.IGNORECASE)
_NO_CONNECT = re.compile(r"permission denied for database", re.IGNORECASE)
_CROWDED = re.compile(r"too many (clients|connections)|remaining connection slots", re.IGNORECASE)
# A quota and a limit on files have no code of their own.
_FULL = re.compile(r"(No space left on device|Disk quota exceeded|File too large)$")
_UNSPOKEN = re.compile(r"conversion between UTF8 and (\w+) is not supported")
_POOLER = re.compile(r"unsupported startup parameter|pgbouncer|no such database|odyssey", re.IGNORECASE)


def translate(error: psycopg.Error, *, doing: str = "", at: str = "") -> HoldfastError:
    """
    Return the error of our tree for *error*; the caller raises it `from error`.

    *doing* completes "… while" (`reading the table public.users`); *at* names the server. Codes that
    nobody thought of become `UnexpectedState`, loudly.
    """
    if error.sqlstate:
        return from_sqlstate(error.sqlstate, doing=doing, at=at, detail=_harmless(error))
    return from_libpq(str(error), at=at, doing=doing)


def from_sqlstate(code: str, *, doing: str = "", at: str = "", detail: str = "") -> HoldfastError:
    """Return the error for the SQLSTATE *code*; *detail* is the server's sentence where that holds no data."""
    where = f"{_server(at)} reported {code}" + (f" ({detail})" if detail else "") + (f" while {doing}" if doing else "")
    sentence = f"{where}."
    error = (SourceDiskFull if _FULL.search(detail) else _of_code(code))(sentence)
    if code in _REMEDIES:
        error = type(error)(sentence, hint=_REMEDIES[code])
    error.ids["sqlstate"] = code
    return error


def _of_code(code: str) -> Callable[[str], HoldfastError]:
    if code in _BUSY:
        return DatabaseBusy
    if code in _UNREACHABLE or code.startswith("08"):
        return DatabaseUnreachable
    return next((build for codes, build in _PERMANENT if code in codes), UnexpectedState)


_PERMANENT: tuple[tuple[set[str], Callable[[str], HoldfastError]], ...] = (
    ({"42501"}, lambda text: PrivilegeMissing(text, hint="Grant the missing privilege to the role of the backup.")),
    ({"28P01", "28000"}, AuthenticationFailed),
    ({"3D000"}, lambda text: BadConfiguration(text, hint="Correct the database's name in its secret.")),
    ({"53100"}, SourceDiskFull),
    ({"53400"}, SourceRefused),
)


def from_libpq(message: str, *, at: str = "", doing: str = "") -> HoldfastError:
    """
    Return the error for a connection that was not made or broke, from libpq's text.

    libpq gives no code for these. The text is only looked at, never carried along. What is not
    recognised counts as unreachable: the network has many words for that.
    """
    server = _server(at)
    while_ = f" while {doing}" if doing else ""
    message = _QUOTED.sub('""', message)  # names may read like anything
    if _POOLER.search(message):
        return PooledEndpoint(f"A connection pooler answers instead of {_lower(server)}.")
    if _CROWDED.search(message):
        return DatabaseBusy(f"{server} has no free connection{while_}.")
    # Under sslmode=prefer a wrong password over TLS is followed by an attempt without, refused for having none.
    if _PASSWORD.search(message) or (_REFUSED.search(message) and not _PLAIN.search(message)):
        return AuthenticationFailed(f"{server} refused the user or the password{while_}.")
    if found := _of_database(message, server):
        return found
    if _TLS.search(message) and not _BROKEN.search(message):
        return TlsRefused(f"No TLS connection that passes the checks could be made to {_lower(server)}.")
    return DatabaseUnreachable(f"{server} did not answer or went away{while_}.")


def _of_database(message: str, server: str) -> HoldfastError | None:
    """Return the error for a database that is not there or that nobody can read."""
    if _NO_DATABASE.search(message):
        return BadConfiguration(f"{server} has no such database.", hint="Correct the database's name in its secret.")
    if unspoken := _UNSPOKEN.search(message):
        return SourceRefused(
            f"The database has the encoding {unspoken[1]}, which no client can read as Unicode.",
            hint="Move it to UTF8: dump it with pg_dump on the server's own machine and restore that.",
        )
    if _NO_CONNECT.search(message):
        return PrivilegeMissing(
            f"{server} does not let the role connect to this database.",
            hint="Run GRANT CONNECT ON DATABASE … TO … with the names in the secret.",
        )
    return None


_BROKEN = re.compile(r"SSL connection has been closed|SSL SYSCALL|unexpectedly|timeout expired|refused", re.IGNORECASE)


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _server(at: str) -> str:
    return f"The server {at}" if at else "The server"


def _harmless(error: psycopg.Error) -> str:
    """Return the server's own sentence, if its class of errors cannot quote values from rows."""
    if (error.sqlstate or "")[:2] not in SPEAKING or error.diag.source_function in _RAISED:
        return ""
    # Within COPY or a function, what is named may be a row's value.
    if error.diag.context and (error.sqlstate or "")[:2] not in _OF_THE_MACHINE:
        return ""
    return (error.diag.message_primary or "").rstrip(".")
