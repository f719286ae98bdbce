"""Pictures of numbers: SVG by pygal, coloured by the style sheet, with the same numbers as a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from babel.dates import format_skeleton
from flask_babel import format_date, get_locale
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
#: Also what fits on the narrowest phone, where it is drawn at two thirds of this.
WIDTH, HEIGHT, LETTERS = 480, 220, 15
EVERY, FEW = 3, 5
# Styles and scripts, which the page's policy forbids; what only pygal's own script uses; what is not seen.
DROPPED_TAGS = {"style", "script", "defs", "desc", "title"}
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


def short_day(day: date) -> str:
    """`Nov 28`, below a bar."""
    return str(format_skeleton("MMMd", day, locale=get_locale()))


def short_month(day: date) -> str:
    """`Nov`, below a bar."""
    return str(format_date(day, "MMM"))


def long_day(day: date) -> str:
    """`Sat, Nov 28`, in a table."""
    return str(format_skeleton("MMMEd", day, locale=get_locale()))


def long_month(day: date) -> str:
    """`November 2026`, in a table."""
    return str(format_skeleton("yMMMM", day, locale=get_locale()))


#: What a picture of mail is called, and how its bars are, for each period.
PERIODS = {
    DAY: ("Mail of the last 14 days", short_day, long_day),
    MONTH: ("Mail of the last 13 months", short_month, long_month),
}


def of_mail(period: str, tallies: list[Tally]) -> Picture:
    """How much mail there was in each day or month."""
    title, short, long = PERIODS[period]
    rows = [
        (short(each.starts), long(each.starts), [each.counts[kind] for kind in KINDS]) for each in tallies
    ]
    return draw(translate(title), [translate(NAMES[kind]) for kind in KINDS], rows)


def draw(title: str, names: list[str], rows: list[tuple[str, str, list[int]]]) -> Picture:
    """Stacked bars. Each row has a short label, a long one, and a number for each name."""
    peak = max((sum(numbers) for _, _, numbers in rows), default=0)
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
    chart.x_labels = [label for label, _, _ in rows]
    chart.x_labels_major = chart.x_labels[::-EVERY]
    if peak < FEW:
        chart.y_labels = range(peak + 1)
    for place, name in enumerate(names):
        chart.add(name, [numbers[place] or None for _, _, numbers in rows])
    chart.add_xml_filter(lambda root: _plain(root, title))
    svg = Markup(chart.render()) if peak else Markup()  # noqa: S704 - pygal escapes what it is given
    return Picture(title, names, [(long, numbers) for _, long, numbers in rows], svg)


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
    named = Element("title")
    named.text = title
    root.insert(0, named)
    return root


def _is_dropped(element: Element) -> bool:
    if element.tag in DROPPED_TAGS or (element.tag == "rect" and not float(element.get("height", 0))):
        return True
    return not DROPPED_CLASSES.isdisjoint(element.get("class", "").split())
