"""The application: small transactions, one after the other, for as long as nobody stops them."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psycopg

PAUSE_SECONDS = 0.01
ATTACH_EVERY = 10
"""Each tenth order brings a receipt, which is a large object."""

_ORDER = """
    WITH buyer AS (SELECT id FROM users OFFSET %(n)s %% 100 LIMIT 1),
         placed AS (INSERT INTO orders (user_id, total, note) SELECT id, %(n)s %% 500, 'written meanwhile' FROM buyer
                    RETURNING id, user_id)
    INSERT INTO order_items (order_id, line, product_id, quantity, unit_price)
    SELECT id, line, line, 1 + %(n)s %% 3, 9.90 FROM placed, generate_series(1, 3) line RETURNING order_id
"""
_CHANGES = (
    "UPDATE users SET preferences = preferences || jsonb_build_object('visits', %(n)s)"
    " WHERE id = (SELECT user_id FROM orders WHERE id = %(order)s)",
    "INSERT INTO audit_logs (action, entity, entity_id, after)"
    " VALUES ('create', 'order', %(order)s::text, jsonb_build_object('n', %(n)s::int))",
    "INSERT INTO events (occurred_at, kind, value, payload)"
    " VALUES (now(), 'order.placed', %(n)s, jsonb_build_object('order', %(order)s::bigint))",
    "DELETE FROM audit_logs WHERE id = %(n)s",
)
_RECEIPT = """
    INSERT INTO attachments (order_id, file_name, content)
    VALUES (%(order)s, 'receipt.pdf', lo_from_bytea(0, decode(repeat('c0ffee', 3000), 'hex')))
"""


class Writing:
    """
    Write to the application's database from a thread of its own while the `with` block lasts.

    A statement that fails ends the writing and is raised at the end of the block: a backup must not
    make the application fail.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="writer", daemon=True)
        self._failure: psycopg.Error | None = None
        self.transactions = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=30)
        if self._failure is not None and error is None:
            raise self._failure

    def wait(self, seconds: float = 30) -> None:
        """Wait until the writing has ended by itself, which only a failure makes it do."""
        self._thread.join(timeout=seconds)

    def _write(self) -> None:
        try:
            with psycopg.connect(self._url) as connection:
                while not self._over.wait(PAUSE_SECONDS):
                    self._transact(connection, self.transactions + 1)
                    self.transactions += 1
        except psycopg.Error as error:
            self._failure = error

    @staticmethod
    def _transact(connection: psycopg.Connection, number: int) -> None:
        values = {"n": number}
        row = connection.execute(_ORDER, values).fetchone()
        values["order"] = row[0] if row else 0
        for change in _CHANGES:
            connection.execute(change, values)
        if number % ATTACH_EVERY == 0:
            connection.execute(_RECEIPT, values)
        connection.commit()
