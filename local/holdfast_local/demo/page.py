"""What happened, as one HTML file: no scripts, no other files, readable in the dark and without colours."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from holdfast_cli import words
from holdfast_local.demo.report import PROVEN, Check, Report, Table
from holdfast_local.demo.timeline import Step

_STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def write(report: Report, path: Path) -> None:
    """Write the page."""
    path.write_text(render(report), encoding="utf-8")


def render(report: Report) -> str:
    """Return the page's HTML."""
    title = f"Holdfast demonstration: {report.status}"
    parts = [_verdict(report), _numbers(report), _timeline(report), _tables(report), _checks(report), _versions(report)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{_STYLE}</style>
</head>
<body>
<main>
{"".join(parts)}</main>
</body>
</html>
"""


def _verdict(report: Report) -> str:
    proven = report.status == PROVEN
    sentence = (
        f"{len(report.tables)} tables with {words.number(report.rows)} rows are the same in the source at the backup's "
        "snapshot, in the archive and in the restored database."
        if proven
        else "Something is not proven; see below."
    )
    faults = "".join(f"<li>{escape(fault)}</li>\n" for fault in report.faults)
    return f"""<header class="{"good" if proven else "bad"}">
<p class="mark" aria-hidden="true">{"✔" if proven else "✘"}</p>
<div>
<h1>{escape(report.status.capitalize())} in {words.duration(report.seconds)}</h1>
<p>{sentence}</p>
{f"<ul>{faults}</ul>" if faults else ""}
<p class="quiet">A PostgreSQL database was backed up while it was written to, dropped, restored and compared.
{escape(words.clock(report.started_at))}</p>
</div>
</header>
"""


def _numbers(report: Report) -> str:
    steps = {step.name: step for step in report.steps}
    backup, restore = steps.get("Back up while the application writes"), steps.get("Restore and prove")
    found = report.bytes
    stored = f"{found['plain'] / found['stored']:.1f} times smaller" if found.get("stored") else ""
    entries = [
        ("Database", words.size(found["database"]) if "database" in found else "-", "on the server, with indexes"),
        ("Rows as text", words.size(found["plain"]) if "plain" in found else "-", f"{words.number(report.rows)} rows"),
        ("Stored", words.size(found["stored"]) if "stored" in found else "-", stored),
        ("Backup", _seconds(backup), _rate(backup, "reading back")),
        ("Restore", _seconds(restore), _rate(restore, "proof")),
    ]
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd><dd class='quiet'>{escape(note)}</dd></div>\n"
        for name, value, note in entries
    )
    return f"<dl class='numbers'>\n{cells}</dl>\n"


def _seconds(step: Step | None) -> str:
    return words.duration(step.seconds) if step and step.seconds else "-"


def _rate(step: Step | None, included: str) -> str:
    return f"{words.size(step.rate)}/s, {included} included" if step and step.rate else ""


def _timeline(report: Report) -> str:
    total = max(report.seconds, 0.001)
    rows = "".join(
        _bar(step.name, step.begin, step.seconds or 0, total, kind="step", note=step.note) + _details(step, total)
        for step in report.steps
    )
    return f"""<section>
<h2>Timeline</h2>
<div class="scroll"><table class="timeline">
<caption>Each step, when it began and how long it took</caption>
<thead><tr><th scope="col">Step</th><th scope="col" class="n">Begin</th><th scope="col" class="n">Took</th>
<th scope="col"><span class="hidden">Bar</span></th></tr></thead>
<tbody>
{rows}</tbody>
</table></div>
</section>
"""


def _details(step: Step, total: float) -> str:
    return "".join(_bar(name.strip(), begin, seconds, total, kind="detail") for name, begin, seconds in step.details)


def _bar(name: str, begin: float, seconds: float, total: float, *, kind: str, note: str = "") -> str:
    left, width = 100 * min(begin / total, 1), max(100 * seconds / total, 0.3)
    small = f"<br><span class='quiet'>{escape(note)}</span>" if note else ""
    return (
        f"<tr class='{kind}'><th scope='row'>{escape(name)}{small}</th><td class='n'>{begin:.1f} s</td>"
        f"<td class='n'>{words.duration(seconds)}</td><td class='track'>"
        f"<div class='bar' style='margin-left:{left:.2f}%;width:{min(width, 100 - left):.2f}%'></div></td></tr>\n"
    )


def _tables(report: Report) -> str:
    if not report.tables:
        return ""
    rows = "".join(map(_table, sorted(report.tables, key=lambda each: each.bytes_plain, reverse=True)))
    return f"""<section>
<h2>Tables</h2>
<p>Source and restored database were read by a witness that shares no code with backup and restore but the archive's
digest; a second digest, worked out by SQL alone, must agree as well.</p>
<div class="scroll"><table>
<caption>Rows and digests at the three stations</caption>
<thead><tr><th scope="col">Table</th><th scope="col">Verdict</th><th scope="col" class="n">Rows</th>
<th scope="col" class="n">Text</th><th scope="col" class="n">Stored</th><th scope="col">Digest</th>
<th scope="col">Digest by SQL</th></tr></thead>
<tbody>
{rows}</tbody>
</table></div>
</section>
"""


def _table(table: Table) -> str:
    verdict = "✔ equal" if table.equal else "✘ differs"
    return (
        f"<tr><th scope='row'>{escape(table.name)}</th><td class='{'good' if table.equal else 'bad'}'>{verdict}</td>"
        f"<td class='n'>{_stations(words.number(n) if n is not None else None for n in table.rows.values())}</td>"
        f"<td class='n'>{words.size(table.bytes_plain)}</td><td class='n'>{words.size(table.bytes_stored)}</td>"
        f"<td><code>{_stations(table.digest.values())}</code></td>"
        f"<td><code>{_stations(table.by_sql.values())}</code></td></tr>\n"
    )


def _stations(values: Iterable[str | None]) -> str:
    """Return one value where all stations agree, else each of them."""
    found = ["missing" if value is None else value for value in values]
    return escape(found[0]) if len(set(found)) == 1 else "<br>".join(map(escape, found))


def _checks(report: Report) -> str:
    items = "".join(map(_check, report.checks))
    return f"<section>\n<h2>Checks</h2>\n<ul class='checks'>\n{items}</ul>\n</section>\n" if items else ""


def _check(check: Check) -> str:
    kind, mark, word = ("good", "✔", "yes") if check.passed else ("bad", "✘", "no")
    detail = f" <span class='quiet'>{escape(check.detail)}</span>" if check.detail else ""
    return (
        f"<li class='{kind}'><span aria-hidden='true'>{mark}</span> <span>{escape(check.name)}"
        f"<span class='hidden'>: {word}</span>{detail}</span></li>\n"
    )


def _versions(report: Report) -> str:
    facts = {**report.versions, "recovery point": report.point, "restore": report.restore}
    listed = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>\n" for k, v in facts.items() if v)
    return f"<footer>\n<h2>Versions</h2>\n<dl class='facts'>\n{listed}</dl>\n</footer>\n"
