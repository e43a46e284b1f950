"""Which crates of a publication a mirror takes: what fits into its space. Pure.

What it holds stays. Then metadata and evidence, which are small and describe all; then the bands in order. Within a band the order
is the mirror's own, by its salt, so that many small mirrors together hold all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256

from tenuto.archive.settings import MirrorSettings
from tenuto.model.errors import UsageError
from tenuto.publication.documents import Index, IndexCrate

_RECORDINGS = "recordings"


@dataclass(frozen=True, slots=True)
class Choice:
    """The crates to hold, those that come first first; `left_out` would be wanted and do not fit."""

    crates: tuple[IndexCrate, ...]
    left_out: tuple[IndexCrate, ...]

    @property
    def bytes(self) -> int:
        """How large they are together."""
        return sum(crate.bytes for crate in self.crates)


def choose(index: Index, held: Collection[str], begun: Collection[str], wish: MirrorSettings) -> Choice:
    """What a mirror with this wish holds of a publication; `held` are the names of crates that it has: they stay, also where the
    space became less. Those that are `begun` go on first, as far as they fit.
    """
    bands, kept = _bands(index), {*held, *begun}
    wanted = [crate for crate in index.crates if crate.crate in kept or _is_wanted(crate, wish)]
    wanted.sort(key=lambda crate: (crate.crate not in held, *_rank(crate, begun, wish.bands or bands, wish.salt)))
    taken: list[IndexCrate] = []
    left_out: list[IndexCrate] = []
    left = wish.space
    for crate in wanted:
        fits = crate.crate in held or crate.bytes <= left
        (taken if fits else left_out).append(crate)
        left -= crate.bytes if fits else 0
    return Choice(tuple(taken), tuple(left_out))


def check_choice(index: Index, wish: MirrorSettings) -> None:
    """Raise UsageError where a wish names a band or a licence that no crate has.

    Asked of a new wish alone: one of before may have lost its crates since, and is followed all the same.
    """
    _check(wish.bands, _bands(index), "band")
    licences = sorted({licence for crate in index.crates for licence in crate.licences})
    _check(wish.licences, licences, "licence")


def _bands(index: Index) -> list[str]:
    """The bands as the index has them, the most popular first."""
    return list(dict.fromkeys(crate.band for crate in index.crates if crate.kind == _RECORDINGS))


def _check(patterns: Sequence[str], there: Sequence[str], what: str) -> None:
    for pattern in patterns:
        if not any(_matches(one, pattern) for one in there):
            names = [one if one.isprintable() else ascii(one) for one in there]
            raise UsageError(
                f"no crate of this publication has the {what} {pattern!r}; there are {', '.join(names) or 'none'}"
            )


def _is_wanted(crate: IndexCrate, wish: MirrorSettings) -> bool:
    if crate.kind != _RECORDINGS:
        return True
    if wish.bands and crate.band not in wish.bands:
        return False
    return not wish.licences or all(any(_matches(one, pattern) for pattern in wish.licences) for one in crate.licences)


def _matches(text: str, pattern: str) -> bool:
    return fnmatchcase(text.casefold(), pattern.casefold())


def _rank(crate: IndexCrate, begun: Collection[str], bands: Sequence[str], salt: str) -> tuple[bool, bool, int, bytes]:
    band = bands.index(crate.band) if crate.kind == _RECORDINGS and crate.band in bands else len(bands)
    draw = sha256(f"{salt} {crate.crate}".encode()).digest()
    return crate.crate not in begun, crate.kind == _RECORDINGS, band, draw
