"""Describe a running server to those who connect to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Server:
    """A running server. *authority* is the certificate to trust when it speaks TLS, else None."""

    major: int
    port: int
    host: str
    pid: int
    data_directory: Path
    log: Path
    superuser: str
    password: str = field(repr=False)
    authority: Path | None = None

    def url(self, database: str = "postgres", user: str | None = None, password: str | None = None) -> str:
        """
        Return a connection string, with verify-full where the server speaks TLS.

        Without *user* it is the superuser's. The password of another user is left out unless it is given.
        """
        known = self.password if user in {None, self.superuser} else None
        secret = password or known
        name = quote(user or self.superuser, safe="") + (f":{quote(secret, safe='')}" if secret else "")
        text = f"postgresql://{name}@{self.host}:{self.port}/{quote(database, safe='')}"
        if self.authority is None:
            return text
        # libpq reads %20 as a space, but + as a plus.
        options = urlencode({"sslmode": "verify-full", "sslrootcert": str(self.authority)}, quote_via=quote)
        return f"{text}?{options}"
