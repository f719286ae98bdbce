"""Numbers for people: sizes, durations, image names."""

UNITS = ("B", "K", "M", "G", "T", "P")


def size(number: float | None) -> str:
    """Bytes in at most four characters and a unit, by 1024 as the compose file counts: 512M, 1.5G."""
    if number is None:
        return "-"
    for unit in UNITS:
        if number < 1000 or unit == UNITS[-1]:
            text = f"{number:.1f}".removesuffix(".0") if number < 10 and unit != "B" else f"{number:.0f}"
            return f"{text}{unit}"
        number /= 1024
    return "-"


def duration(seconds: float | None) -> str:
    """The two largest units: 45s, 3m 20s, 5h 2m, 12d 4h."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length}{unit} {whole % length // part}{smaller}"
    return f"{whole}s"


def image(name: str) -> str:
    """The name without its digest: the tag says what a person wants to know."""
    return name.partition("@")[0]
