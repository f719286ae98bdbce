"""The report as one HTML page: no script and nothing from elsewhere; figures are drawn as SVG in the page."""

from datetime import UTC, datetime
from html import escape
from typing import Any

from mailctl.verify.run import Results, area, title

WIDTH, ROW, LABEL = 360, 26, 128
BAR = WIDTH - LABEL - 84
OUTCOMES = ("failed", "skipped", "passed")
# A figure above this part of its limit is near it.
NEAR = 0.8

STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1b1f24; --soft: #59636e; --line: #d1d9e0;
  --track: #e6eaef; --passed: #1a7f37; --skipped: #9a6700; --failed: #cf222e; --bar: #0969da; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --text: #e6edf3; --soft: #9198a1; --line: #3d444d; --track: #262c36;
    --passed: #3fb950; --skipped: #d29922; --failed: #f85149; --bar: #4493f8; }
}
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); font-size: .9rem; }
.figures { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; padding: .75rem; }
figcaption { font-weight: 600; margin-bottom: .25rem; } svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--text); } .track { fill: var(--track); }
.passed { fill: var(--passed); color: var(--passed); }
.skipped { fill: var(--skipped); color: var(--skipped); }
.failed { fill: var(--failed); color: var(--failed); } .bar { fill: var(--bar); }
ul { list-style: none; padding: 0; } li { border-top: 1px solid var(--line); padding: .5rem 0; }
pre { white-space: pre-wrap; background: var(--track); border-radius: 6px; padding: .5rem; }
"""


def html(results: Results, project: str) -> str:
    """The whole page, for a browser on a phone or a desk, by day or by night."""
    counts = {name: len(results.named(name)) for name in OUTCOMES}
    word = "failed" if counts["failed"] else "passed"
    verdict = (
        f"{counts['failed']} of {len(results.tests)} tests failed" if counts["failed"] else "All is well"
    )
    when = f"{datetime.fromtimestamp(results.began, UTC):%Y-%m-%d %H:%M} UTC"
    head = f"{escape(project)} on {escape(results.host)}, {when}, {results.seconds:.0f} s"
    scale = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    groups = dict.fromkeys(figure["group"] for figure in results.figures)
    drawn = [_outcomes(results), *(_figure(name, results.figures) for name in groups)]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
{scale}
<title>{escape(project)}: {escape(verdict)}</title><style>{STYLE}</style></head><body>
<h1 class="{word}">{escape(verdict)}</h1>
<p class="soft">{head}</p>
<h2>Figures</h2><div class="figures">{"".join(drawn)}</div>
{"".join(_tests(name, results.named(name)) for name in OUTCOMES)}</body></html>
"""


def _tests(outcome: str, tests: list[dict[str, Any]]) -> str:
    if not tests:
        return ""
    items = []
    for test in tests:
        message = f"<pre>{escape(test['message'])}</pre>" if test["message"] else ""
        why = f'<p class="soft">{escape(test["why"])}</p>' if test["why"] else ""
        head = f'<strong>{escape(title(test))}</strong> <span class="soft">{escape(area(test))}</span>'
        items.append(f"<li>{head}{why}{message}</li>")
    return f'<h2 class="{outcome}">{outcome.capitalize()}: {len(tests)}</h2><ul>{"".join(items)}</ul>'


def _outcomes(results: Results) -> str:
    """How each area stands: one bar, a part for each outcome."""
    rows = []
    most = max((sum(area(t) == name for t in results.tests) for name in _areas(results)), default=1)
    for name in _areas(results):
        left, parts = float(LABEL), []
        found = {word: sum(area(t) == name for t in results.named(word)) for word in OUTCOMES}
        for word, count in found.items():
            width = BAR * count / most
            parts.append(_box(left, width, word))
            left += width
        said = f"{found['passed']}/{sum(found.values())}"
        rows.append((name, "".join(parts), said))
    return _chart("Tests passed", rows)


def _areas(results: Results) -> list[str]:
    return list(dict.fromkeys(area(test) for test in results.tests))


def _figure(group: str, figures: list[dict[str, Any]]) -> str:
    """One bar a figure, filled up to its value: of its limit where it has one, else of the largest."""
    # Several tests may look at the same thing; the last look counts.
    own = {figure["name"]: figure for figure in figures if figure["group"] == group}.values()
    most = max((figure["value"] for figure in own), default=0) or 1
    rows = []
    for figure in own:
        limit, value = figure["limit"], figure["value"]
        part = min(1.0, value / (limit or most))
        kind = "bar" if not limit else "failed" if value > limit else "skipped" if part > NEAR else "passed"
        said = f"{value:g}/{limit:g}" if limit else f"{value:g}"
        rows.append((figure["name"], _box(LABEL, BAR, "track") + _box(LABEL, BAR * part, kind), said))
    unit = next((figure["unit"] for figure in own), "")
    return _chart(f"{group} ({unit})" if unit else group, rows)


def _box(left: float, width: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{left:.1f}" y="6" width="{max(width, 0):.1f}" height="14" rx="3"/>'


def _chart(caption: str, rows: list[tuple[str, str, str]]) -> str:
    """Rows of label, boxes and the figure in words, which also stands there for those who hear the page."""
    lines = [
        f'<g transform="translate(0 {ROW * number})"><text x="0" y="17">{escape(name)}</text>{boxes}'
        f'<text x="{LABEL + BAR + 6}" y="17">{escape(said)}</text></g>'
        for number, (name, boxes, said) in enumerate(rows)
    ]
    heard = escape("; ".join(f"{name} {said}" for name, _, said in rows), quote=True)
    box = f'viewBox="0 0 {WIDTH} {ROW * len(rows)}"'
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<svg {box} role="img" aria-label="{heard}">{"".join(lines)}</svg></figure>'
    )
