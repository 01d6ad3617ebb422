"""Which line of a TOML file a key stands on: the parser of the standard library does not say."""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_ONE_KEY = re.compile(_KEY)
# What matters within a value: strings (also long ones), comments and brackets.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


class Lines:
    """The lines of the keys of one valid TOML *text*."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        for number, statement in _statements(text):
            header = _HEADER.match(statement)
            if header:
                table = self._header(header[2], is_array=header[1] == "[[")
                self._lines.setdefault(table, number)
            elif found := _ASSIGNMENT.match(statement):
                self._assignment(table, _keys(found[1]), number)

    def of(self, path: Path) -> int:
        """Return the line of *path*, or of the nearest table or key around it, or 1."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def _header(self, dotted: str, *, is_array: bool) -> Path:
        """Return the path of a table whose header is *dotted*, counting arrays' elements."""
        path: Path = ()
        keys = _keys(dotted)
        for position, key in enumerate(keys, start=1):
            path = (*path, key)
            if is_array and position == len(keys):
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _assignment(self, table: Path, keys: tuple[str, ...], number: int) -> None:
        """Record the key and the tables that a dotted key creates on its way."""
        for length in range(1, len(keys) + 1):
            self._lines.setdefault((*table, *keys[:length]), number)


def _keys(dotted: str) -> tuple[str, ...]:
    """Return the keys of a dotted key without their quotes."""
    return tuple(key[1:-1] if key[0] in "\"'" else key for key in _ONE_KEY.findall(dotted))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each header or assignment with the number of its first line; a value may span several lines."""
    begin, number, depth = 0, 1, 0
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "[{":
            depth += 1
        elif word in "]}":
            depth -= 1
        elif word == "\n" and depth == 0:
            yield number, text[begin : token.start()]
            number += text.count("\n", begin, token.end())
            begin = token.end()
    yield number, text[begin:]
