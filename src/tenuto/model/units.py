"""Sizes, shares and durations as people write them, and back."""

import re

_UNITS = {
    "": 1, "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50,
}  # fmt: skip
_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"\s*(\d{1,9})(?:\.(\d{1,9}))?\s*([A-Za-z]+)\s*", re.ASCII)
_SIZE = re.compile(r"\s*(\d{1,20})(?:\.(\d{1,20}))?\s*([A-Za-z]*)\s*", re.ASCII)


def parse_bytes(text: str) -> int:
    """`24 MB`, `1.5TB`, `10 GiB` or a plain number, in bytes; raises ValueError with what would be right."""
    match = _SIZE.fullmatch(text)
    factor = _UNITS.get(match[3].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is no size; write it like 500 GB, 24MB or 10 GiB")
    decimals = match[2] or ""
    return int(match[1] + decimals) * factor // int(10 ** len(decimals))


def parse_share(text: str) -> float:
    """`60%` as 0.6; raises ValueError outside 0-100 %."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if match is None or float(match[1]) > 100:  # noqa: PLR2004 -- per cent
        raise ValueError(f"{text!r} is no share; write it like 60%")
    return float(match[1]) / 100


def parse_duration(text: str) -> float:
    """`90 s`, `30min`, `12h` or `1.5 d` in seconds; raises ValueError with what would be right."""
    match = _DURATION.fullmatch(text)
    factor = _SECONDS.get(match[3].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is no duration; write it like 90s, 30 min, 12h or 1d")
    return float(f"{match[1]}.{match[2] or 0}") * factor


def format_duration(seconds: float) -> str:
    """A duration in its two largest units: `12 s`, `3 min 20 s`, `23 h 59 min`."""
    left, parts = round(seconds), list[str]()
    for unit, factor in reversed(_SECONDS.items()):
        count, left = divmod(left, factor)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part) or "0 s"


def format_bytes(count: float) -> str:
    """A size with three significant digits in decimal units: `58.3 MB`."""
    if count < 1000:  # noqa: PLR2004 -- the step of decimal units
        return f"{int(count)} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5:  # noqa: PLR2004 -- what still rounds to three digits
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.4g} PB"


def format_share(share: float | None) -> str:
    """A fraction 0-1 as per cent with one digit; `-` for none."""
    return "-" if share is None else f"{share * 100:.1f} %"


def counted(number: int, thing: str) -> str:
    """A number with its noun: `1 crate`, `4,000 crates`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
