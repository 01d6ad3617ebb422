"""
Digest the rows of a table so that order, and how the bytes arrive, do not matter.

The input is COPY text: each row ends in a newline, which no row contains (COPY escapes it). A table's
digest is the sum modulo 2^128 of one keyed 128-bit value per row, so duplicates count, partial digests
add up, and two tables agree only if they hold the same rows equally often. Row values:

    up to 512 bytes   AES-256(fingerprint), the fingerprint being four 32-bit hashes side by side. Each is
                      (c0 + c1*length + sum of (low_k + c_2k+2) * (high_k + c_2k+3)) mod 2^64, upper half,
                      over the row's 64-bit words (little-endian, zero-padded), cut into 32-bit halves;
                      every hash has its own independent 64-bit coefficients c
    longer            BLAKE2b-128, keyed

The cipher's key, BLAKE2b's key and all coefficients are drawn from the secret by SHAKE-256.

Why these hold. The 32-bit hash is Multilinear-HM (Lemire and Kaser, "Strongly universal string hashing is
fast", The Computer Journal 2014): the lowest bit in which two halves differ is at most bit 31, so a random
64-bit coefficient leaves any two given rows equal with probability 2^-32, and four hashes with 2^-128; the
length's own term tells zero padding apart. Independent coefficients, unlike powers of one base, have no
colliding inputs modulo 2^64 (the Thue-Morse strings), so plain uint64 arithmetic is exact and nothing is reduced
by a prime. A sum of such hashes alone would be blind to bytes exchanged between rows, being nearly linear; the
cipher makes each row's value unrelated to every other's. The sum of them is the multiset hash MSet-Add
(Clarke and others, ASIACRYPT 2003). Two given tables that differ, of together q distinct rows and at most n copies
of each, get equal digests with probability at most (q^2 + n) / 2^128, unless AES or BLAKE2b is broken: below 2^-60
when q is ten billion.

*Given* means chosen without seeing digests: this finds damage, loss and mistakes. Whoever may write rows and also
read digests learns single rows' values from tables of one row, and could then look for rows with equal sums.
Against forgery stand the SHA-256 of each chunk and the signature of the manifest.

Short rows are hashed many at a time, longest first: step k handles word k of all rows that have one, so each
coefficient is a constant of a vector operation. Beyond 512 bytes BLAKE2b is as fast, and needs no row in memory.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from holdfast.errors import RowsTruncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY_BYTES = 32
SHORT_BYTES = 512
"""Longest row that the vector operations hash. Part of the definition: changing it changes digests."""

_DOMAIN = b"holdfast row digest 1\0"
_LANES = 4
_STEPS = 2 + 2 * SHORT_BYTES // 8
_CAPACITY = 1 << 20
_BATCH_ROWS = 16_384
_MODULUS = 1 << 128

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFF_FFFF)
_HIGH = np.uint64(0xFFFF_FFFF_0000_0000)
_BYTES_OF_LAST_WORD = np.array([~0] + [(1 << 8 * used) - 1 for used in range(1, 8)]).astype(np.uint64)


def fingerprint_of(key: bytes) -> str:
    """Return what tells one digest key from another (hex, 128 bits) and nothing about either: an HMAC of a constant."""
    return hmac.new(key, b"holdfast digest key", hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class TableDigest:
    """
    The row count and digest of a table, or of a part of it; parts add up.

    Digests compare only under the same key. The default is the digest of no rows: `sum(parts, TableDigest())`.
    """

    rows: int = 0
    value: int = 0

    def __post_init__(self) -> None:
        if self.rows < 0 or not 0 <= self.value < _MODULUS:
            raise ValueError("A digest needs a row count of at least 0 and a value of 128 bits.")

    def __add__(self, other: TableDigest) -> TableDigest:
        return TableDigest(self.rows + other.rows, (self.value + other.value) % _MODULUS)

    @property
    def hex(self) -> str:
        """Give the value, without the row count, as 32 lower-case hexadecimal digits."""
        return f"{self.value:032x}"

    @classmethod
    def from_hex(cls, rows: int, digits: str) -> TableDigest:
        """Build the digest whose `rows` and `hex` were stored; raise ValueError if *digits* is not 32 hex digits."""
        value = bytes.fromhex(digits)
        if len(digits) != 32 or len(value) != 16:
            raise ValueError("A digest has 32 hexadecimal digits.")
        return cls(rows, int.from_bytes(value, "big"))


class RowDigest:
    """
    Accumulate the digest of COPY text that arrives in blocks, cut anywhere.

    Memory is about 4 MiB however long a row is, and below 32 MiB at worst (millions of empty rows). One object serves
    one thread at a time. A second thread gains about a half, since numpy takes the GIL back between many brief
    operations; processes use every core fully.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"The digest's key must have {KEY_BYTES} bytes, not {len(key)}.")
        drawn = hashlib.shake_256(_DOMAIN + key).digest(32 + 64 + 8 * _STEPS * _LANES)
        self._long_key = drawn[32:96]
        self._octets: NDArray[np.uint8] = np.zeros(_CAPACITY + 8, np.uint8)
        self._bytes = memoryview(self._octets.data)
        self._short = _ShortRows(self._octets, cipher_key=drawn[:32], coefficients=drawn[96:])
        self._long: hashlib.blake2b | None = None
        self._filled = 0
        self._rows = 0
        self._value = 0

    def update(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; they are copied, so the caller may reuse the block."""
        rest = memoryview(block).cast("B")
        while rest:
            taken = min(len(rest), _CAPACITY - self._filled)
            self._bytes[self._filled : self._filled + taken] = rest[:taken]
            self._filled += taken
            rest = rest[taken:]
            if self._filled == _CAPACITY:
                self._drain()

    def finish(self) -> TableDigest:
        """Give the digest of all rows so far; raise RowsTruncated if the last one has no newline."""
        self._drain()
        if self._filled or self._long is not None:
            raise RowsTruncated(f"COPY text ends in the middle of row {self._rows + 1}.")
        return TableDigest(self._rows, self._value % _MODULUS)

    def so_far(self) -> TableDigest:
        """Give the digest of the rows that are complete; more may follow."""
        self._drain()
        return TableDigest(self._rows, self._value % _MODULUS)

    def _drain(self) -> None:
        """Hash every complete row in the buffer and keep what is left of the last one."""
        ends = np.flatnonzero(self._octets[: self._filled] == ord("\n"))
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1] + 1
        if ends.size:
            self._rows += ends.size
            begun = self._end_long_row(int(ends[0]))
            self._add_rows(starts[begun:], (ends - starts)[begun:])
        self._keep_rest(int(ends[-1]) + 1 if ends.size else 0)

    def _end_long_row(self, end: int) -> int:
        """Finish the long row that an earlier buffer began; give how many rows that were (0 or 1)."""
        if self._long is None:
            return 0
        self._long.update(self._bytes[:end])
        self._value += int.from_bytes(self._long.digest(), "little")
        self._long = None
        return 1

    def _add_rows(self, starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> None:
        """Add the values of rows that lie in the buffer as a whole."""
        short = lengths <= SHORT_BYTES
        if not short.all():
            for start, length in zip(starts[~short].tolist(), lengths[~short].tolist(), strict=True):
                digest = self._begin_long_row(start, start + length).digest()
                self._value += int.from_bytes(digest, "little")
            starts, lengths = starts[short], lengths[short]
        for first in range(0, starts.size, _BATCH_ROWS):
            batch = slice(first, first + _BATCH_ROWS)
            self._value += self._short.add_up(starts[batch], lengths[batch])

    def _keep_rest(self, start: int) -> None:
        """Carry the unfinished row over: its bytes while it may be short, else the state of its hash."""
        rest = self._filled - start
        if self._long is not None:
            self._long.update(self._bytes[start : self._filled])
        elif rest > SHORT_BYTES:
            self._long = self._begin_long_row(start, self._filled)
        else:
            self._octets[:rest] = self._octets[start : self._filled]
            self._filled = rest
            return
        self._filled = 0

    def _begin_long_row(self, start: int, end: int) -> hashlib.blake2b:
        return hashlib.blake2b(self._bytes[start:end], key=self._long_key, digest_size=16)


class _ShortRows:
    """Hash rows of at most `SHORT_BYTES` that lie in *octets*, which has 8 bytes to spare at its end."""

    def __init__(self, octets: NDArray[np.uint8], *, cipher_key: bytes, coefficients: bytes) -> None:
        # One word at each offset; what a word reads beyond its row is masked away.
        self._word_at = np.ndarray((octets.size - 7,), "<u8", octets.data, strides=(1,))
        drawn = np.frombuffer(coefficients, "<u8").astype(np.uint64)
        self._coefficients = drawn.reshape(_STEPS, _LANES, 1)
        # A bare block cipher is what is wanted here: a keyed permutation of single, distinct 16-byte values.
        self._cipher = Cipher(algorithms.AES(cipher_key), modes.ECB()).encryptor()  # noqa: S305
        self._sums = np.empty((_LANES, _BATCH_ROWS), np.uint64)
        self._left = np.empty_like(self._sums)
        self._right = np.empty_like(self._sums)

    def add_up(self, starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> int:
        """Sum the values of at most `_BATCH_ROWS` rows, exactly: 32-bit parts cannot overflow 64 bits."""
        sums = self._hash_rows(starts, lengths)
        fingerprints = np.empty((starts.size, 2), "<u8")
        fingerprints[:, 0] = (sums[0] >> _HALF) | (sums[1] & _HIGH)
        fingerprints[:, 1] = (sums[2] >> _HALF) | (sums[3] & _HIGH)
        values = np.frombuffer(self._cipher.update(fingerprints.data.cast("B")), "<u8").reshape(-1, 2)
        parts = (values[:, 0] & _LOW, values[:, 0] >> _HALF, values[:, 1] & _LOW, values[:, 1] >> _HALF)
        return sum(int(part.sum()) << 32 * place for place, part in enumerate(parts))

    def _hash_rows(self, starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.uint64]:
        """Give the four 64-bit sums of each row, longest row first."""
        order = np.argsort((SHORT_BYTES - lengths).astype(np.uint16), kind="stable")
        offsets, sizes = starts[order], lengths[order]
        words = (sizes + 7) >> 3
        having = (order.size - np.cumsum(np.bincount(words))).tolist()  # having[k]: rows of more than k words
        last_word = _BYTES_OF_LAST_WORD[sizes & 7]
        sums = self._sums[:, : order.size]
        np.multiply(self._coefficients[1], sizes.astype(np.uint64), out=sums)
        sums += self._coefficients[0]
        for step in range(len(having) - 1):
            active, longer = having[step], having[step + 1]
            word = self._word_at[offsets[:active]]
            word[longer:] &= last_word[longer:active]
            left, right = self._left[:, :active], self._right[:, :active]
            np.add(word & _LOW, self._coefficients[2 * step + 2], out=left)
            np.add(word >> _HALF, self._coefficients[2 * step + 3], out=right)
            left *= right
            sums[:, :active] += left
            offsets[:active] += 8
        return sums
