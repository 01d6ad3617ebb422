"""The row digest: which tables it calls equal, which it tells apart, and that it is what its definition says."""

from __future__ import annotations

import hashlib
import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.archive.digest import RowDigest, TableDigest
from holdfast.errors import RowsTruncated

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
KNOWN = "5a2c08d5c50786615746a411a5faa216"

ROW = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([0, 1, 7, 8, 9, 15, 16, 17, 511, 512, 513, 1024]).map(lambda size: b"\xff" * size),
    st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 9), st.integers(0, 1500)),
).map(lambda row: row.replace(b"\n", b"\\"))
ROWS = st.lists(ROW, max_size=30)

quick = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def text_of(rows: list[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def digest(rows: list[bytes], key: bytes = KEY) -> TableDigest:
    accumulator = RowDigest(key)
    accumulator.update(text_of(rows))
    return accumulator.finish()


def reference(rows: list[bytes], key: bytes = KEY) -> TableDigest:
    """Follow the definition word by word, in integers of any size."""
    drawn = hashlib.shake_256(b"holdfast row digest 1\0" + key).digest(32 + 64 + 130 * 4 * 8)
    numbers = [int.from_bytes(drawn[at : at + 8], "little") for at in range(96, len(drawn), 8)]
    cipher = Cipher(algorithms.AES(drawn[:32]), modes.ECB())

    def value(row: bytes) -> int:
        if len(row) > 512:
            return int.from_bytes(hashlib.blake2b(row, key=drawn[32:96], digest_size=16).digest(), "little")
        fingerprint = b""
        for lane in range(4):
            c = numbers[lane::4]
            total = c[0] + c[1] * len(row)
            for word in range((len(row) + 7) // 8):
                halves = row[8 * word : 8 * word + 8].ljust(8, b"\0")
                low, high = int.from_bytes(halves[:4], "little"), int.from_bytes(halves[4:], "little")
                total += (low + c[2 * word + 2]) * (high + c[2 * word + 3])
            fingerprint += (total % 2**64 >> 32).to_bytes(4, "little")
        return int.from_bytes(cipher.encryptor().update(fingerprint), "little")

    return TableDigest(len(rows), sum(map(value, rows)) % 2**128)


def thue_morse(order: int, *, flipped: bool, zero: bytes, one: bytes) -> bytes:
    return b"".join(one if (place.bit_count() & 1) ^ flipped else zero for place in range(2**order))


@quick
@given(ROWS, st.sampled_from([KEY, OTHER_KEY]))
def test_the_digest_is_what_the_definition_says(rows: list[bytes], key: bytes) -> None:
    assert digest(rows, key) == reference(rows, key)


def test_the_definition_never_changes_unnoticed() -> None:
    rows = [b"", b"1\tAda\t\\N", b"2\tGrace\tt", b"x" * 512, b"x" * 513]

    assert digest(rows).hex == KNOWN


@quick
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[bytes], chance: random.Random) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)

    assert digest(shuffled) == digest(rows)


@quick
@given(ROWS, st.lists(st.integers(0, 20_000)))
def test_the_cuts_between_blocks_do_not_matter(rows: list[bytes], cuts: list[int]) -> None:
    text = text_of(rows)
    accumulator = RowDigest(KEY)
    borders = sorted(cut % (len(text) + 1) for cut in cuts)

    for start, end in zip([0, *borders], [*borders, len(text)], strict=True):
        accumulator.update(text[start:end])

    assert accumulator.finish() == digest(rows)


def test_bytes_may_come_one_by_one_in_a_buffer_that_is_reused() -> None:
    rows = [b"1\tAda", b"", b"y" * 600, b"2\tGrace"]
    accumulator = RowDigest(KEY)
    buffer = bytearray(1)

    for byte in text_of(rows):
        buffer[0] = byte
        accumulator.update(memoryview(buffer))

    assert accumulator.finish() == digest(rows)


@quick
@given(ROWS, st.integers(0, 30))
def test_digests_of_parts_add_up(rows: list[bytes], cut: int) -> None:
    parts = [digest(rows[:cut]), digest(rows[cut:])]

    assert sum(parts, TableDigest()) == digest(rows)


@quick
@given(st.lists(ROW, min_size=1, max_size=10), st.data())
def test_any_changed_bit_changes_the_digest(rows: list[bytes], data: st.DataObject) -> None:
    text = bytearray(text_of(rows))
    before = digest(rows)
    place = data.draw(st.integers(0, len(text) - 2)) if len(text) > 1 else 0
    text[place] ^= 1 << data.draw(st.integers(0, 7))
    text[-1] = ord("\n")
    changed = bytes(text).split(b"\n")[:-1]

    assert (digest(changed) == before) == (sorted(changed) == sorted(rows))


@pytest.mark.parametrize("size", [1, 7, 8, 9, 31, 511, 512, 513])
def test_all_rows_one_bit_apart_have_different_digests(size: int) -> None:
    row = b"\x55" * size
    flipped = [(int.from_bytes(row, "little") ^ 1 << bit).to_bytes(size, "little") for bit in range(8 * size)]
    without_newline = [other for other in flipped if b"\n" not in other]

    digests = {digest([other]).value for other in [row, *without_newline]}

    assert len(digests) == 1 + len(without_newline)


@quick
@given(st.lists(ROW, min_size=2, max_size=10), st.data())
def test_bytes_exchanged_between_rows_change_the_digest(rows: list[bytes], data: st.DataObject) -> None:
    first, second = data.draw(st.permutations(range(len(rows))))[:2]
    at = data.draw(st.integers(0, 1500))
    exchanged = list(rows)
    exchanged[first] = rows[first][:at] + rows[second][at:]
    exchanged[second] = rows[second][:at] + rows[first][at:]

    assert (digest(exchanged) == digest(rows)) == (sorted(exchanged) == sorted(rows))


def test_words_exchanged_between_rows_of_equal_length_change_the_digest() -> None:
    rows = [b"aaaaaaaabbbbbbbb", b"ccccccccdddddddd"]
    exchanged = [b"aaaaaaaadddddddd", b"ccccccccbbbbbbbb"]

    assert digest(exchanged) != digest(rows)


def test_a_byte_that_moves_to_the_next_row_changes_the_digest() -> None:
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])


@quick
@given(ROWS, ROW, st.integers(1, 5))
def test_duplicates_count(rows: list[bytes], row: bytes, more: int) -> None:
    once, more_often = digest([*rows, row]), digest([*rows, row] + [row] * more)

    assert more_often.value != once.value
    assert more_often.rows == once.rows + more


def test_a_pair_of_rows_is_not_cancelled_out() -> None:
    assert digest([b"a", b"a"]).value != digest([b"b", b"b"]).value


@pytest.mark.parametrize("key", [KEY, OTHER_KEY, bytes(32)])
@pytest.mark.parametrize(
    ("order", "zero", "one"),
    [
        pytest.param(10, b"0", b"1", id="1,024 bytes"),
        pytest.param(9, b"0", b"1", id="512 bytes"),
        pytest.param(8, b"a", b"c", id="256 bytes"),
        pytest.param(7, b"aaaa", b"bbbb", id="halves of words"),
        pytest.param(6, b"aaaaaaaa", b"aaaaaaab", id="words"),
        pytest.param(6, b"aaaa\x00aaa", b"aaaa\x80aaa", id="words apart in high bits"),
    ],
)
def test_thue_morse_pairs_do_not_collide(key: bytes, order: int, zero: bytes, one: bytes) -> None:
    pair = [thue_morse(order, flipped=flipped, zero=zero, one=one) for flipped in (False, True)]

    assert digest(pair[:1], key) != digest(pair[1:], key)


@quick
@given(st.lists(ROW, min_size=1, max_size=10))
def test_another_key_gives_another_digest(rows: list[bytes]) -> None:
    assert digest(rows, KEY).value != digest(rows, OTHER_KEY).value


def test_padding_with_zero_bytes_is_told_apart() -> None:
    digests = {digest([b"a" + b"\0" * zeros]).value for zeros in range(600)}

    assert len(digests) == 600


def test_a_table_without_columns_is_as_many_empty_rows() -> None:
    counts = [digest([b""] * rows) for rows in range(5)]

    assert [count.rows for count in counts] == [0, 1, 2, 3, 4]
    assert len({count.value for count in counts}) == 5
    assert counts[4] == reference([b""] * 4)


def test_no_bytes_are_no_rows() -> None:
    accumulator = RowDigest(KEY)
    accumulator.update(b"")

    assert accumulator.finish() == TableDigest(rows=0, value=0)


@pytest.mark.parametrize("size", [511, 512, 513, 4095, 4096, 4097, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
@pytest.mark.parametrize("before", [0, 1, 2**20 - 513, 2**20 - 512, 2**20 - 2, 2**20 - 1])
def test_rows_of_any_length_hash_alike_wherever_the_buffer_ends(size: int, before: int) -> None:
    rows = [b"f" * before, b"r" * size, b"last"]

    assert digest(rows) == reference(rows)


def test_more_rows_than_one_pass_takes_are_all_counted() -> None:
    rows = [str(number).encode() for number in range(40_000)]
    repeated = [b""] * 1_200_000

    assert digest(rows) == reference(rows)
    assert digest(repeated).value == reference([b""]).value * len(repeated) % 2**128


@pytest.mark.parametrize("text", [b"a", b"a\nb", b"x" * 513, b"a\n" + b"x" * 2**20, b"x" * 2**21])
def test_an_unterminated_last_row_is_refused(text: bytes) -> None:
    accumulator = RowDigest(KEY)
    accumulator.update(text)
    lines = text.count(b"\n")

    with pytest.raises(RowsTruncated) as caught:
        accumulator.finish()

    assert f"row {lines + 1}." in str(caught.value)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RowDigest(bytes(length))


def test_values_add_modulo_two_to_the_128() -> None:
    assert TableDigest(1, 2**128 - 1) + TableDigest(2, 3) == TableDigest(3, 2)


@quick
@given(st.integers(0, 2**63), st.integers(0, 2**128 - 1))
def test_a_stored_digest_is_read_back(rows: int, value: int) -> None:
    written = TableDigest(rows, value)

    assert len(written.hex) == 32
    assert TableDigest.from_hex(rows, written.hex) == written


@pytest.mark.parametrize("digits", ["", "0" * 31, "0" * 33, "g" * 32, "0x" + "0" * 30, " " + "0" * 31, "00 " * 16])
def test_a_malformed_digest_is_refused(digits: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        TableDigest.from_hex(1, digits)
