"""Pictures of numbers: SVG by pygal, coloured by the style sheet, with the same numbers as a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from babel.dates import format_skeleton
from flask_babel import get_locale
from markupsafe import Markup
from pygal import StackedBar
from pygal.style import Style

from usermgmt.services.mail_counts import DAY, KINDS, MONTH, Tally
from usermgmt.web.i18n import translate

#: What the kinds of mail are called.
NAMES = {
    "received": "Received",
    "sent": "Sent",
    "junk": "Junk",
    "refused": "Refused",
    "deferred": "Deferred",
}
#: What the pictures of mail are called.
TITLES = {DAY: "Mail of the last 14 days", MONTH: "Mail of the last 13 months"}
#: How a day or month is written below its bar, and in the table.
FORMS = {DAY: ("MMMd", "MMMEd"), MONTH: ("MMM", "yMMMM")}
#: Also what fits on the narrowest phone, where it is drawn at two thirds of this.
WIDTH, HEIGHT, LETTERS = 480, 220, 15
EVERY, FEW = 3, 5
# Styles and scripts (defs), which pages forbid; what only the script of pygal uses; what is not seen.
DROPPED_TAGS = {"defs", "desc", "title"}
DROPPED_CLASSES = {"overlay", "text-overlay", "tooltip-overlay", "titles", "background"}
DROPPED_ATTRIBUTES = ("style", "id")


@dataclass(frozen=True)
class Picture:
    """A drawing, and its numbers: `rows` are each a label with a number for each of `names`."""

    title: str
    names: list[str]
    rows: list[tuple[str, list[int]]]
    svg: Markup

    @property
    def totals(self) -> list[int]:
        """The sum of each name's numbers."""
        return [sum(numbers) for numbers in zip(*(row for _, row in self.rows), strict=True)]


def of_mail(period: str, tallies: list[Tally]) -> Picture:
    """How much mail there was in each day or month."""
    rows = [(each.starts, [each.counts[kind] for kind in KINDS]) for each in tallies]
    return draw(period, translate(TITLES[period]), [translate(NAMES[kind]) for kind in KINDS], rows)


def draw(period: str, title: str, names: list[str], rows: list[tuple[date, list[int]]]) -> Picture:
    """Stacked bars. Each row is a day or a month with a number for each name."""
    peak = max((sum(numbers) for _, numbers in rows), default=0)
    chart = StackedBar(
        width=WIDTH,
        height=HEIGHT,
        margin=6,
        js=(),
        css=(),
        disable_xml_declaration=True,
        show_legend=False,
        min_scale=2,
        max_scale=FEW,
        show_minor_x_labels=False,
        truncate_label=-1,
        value_formatter=lambda number: f"{number:,.0f}",
        style=Style(label_font_size=LETTERS, major_label_font_size=LETTERS),
    )
    short, long = ([written(day, form) for day, _ in rows] for form in FORMS[period])
    chart.x_labels = short
    chart.x_labels_major = short[::-EVERY]
    if peak < FEW:
        chart.y_labels = range(peak + 1)
    for place, name in enumerate(names):
        chart.add(name, [numbers[place] or None for _, numbers in rows])
    chart.add_xml_filter(lambda root: _plain(root, title))
    svg = Markup(chart.render()) if peak else Markup()  # noqa: S704 - pygal escapes what it is given
    return Picture(title, names, [(label, row[1]) for label, row in zip(long, rows, strict=True)], svg)


def written(day: date, form: str) -> str:
    """A day in a form of Unicode's, as the reader's language has it."""
    return str(format_skeleton(form, day, locale=get_locale()))


def _plain(root: Element, title: str) -> Element:
    """Leave what is seen, with a name for those who do not see it."""
    for parent in list(root.iter()):
        for child in list(parent):
            # A comment's tag is no text.
            if not isinstance(child.tag, str) or _is_dropped(child):
                parent.remove(child)
    for element in root.iter():
        for name in DROPPED_ATTRIBUTES:
            element.attrib.pop(name, None)
        if element.tag == "rect":
            sizes = {name: f"{float(element.attrib[name]):.1f}" for name in ("x", "y", "width", "height")}
            element.attrib.clear()
            element.attrib.update(sizes)
    root.set("role", "img")
    # Of the same library as the rest: pygal takes lxml where that is installed.
    named = root.makeelement("title", {})
    named.text = title
    root.insert(0, named)
    return root


def _is_dropped(element: Element) -> bool:
    if element.tag in DROPPED_TAGS or (element.tag == "rect" and not float(element.get("height", 0))):
        return True
    return not DROPPED_CLASSES.isdisjoint(element.get("class", "").split())
