"""A mirror at work: what it works with, a crate on its way, and what came of a round."""

from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

from tenuto.archive import Layout, Settings
from tenuto.crates.torrent import Metainfo
from tenuto.model.progress import Progress
from tenuto.publication.documents import Index, IndexCrate
from tenuto.publication.known import Known, KnownPlaces
from tenuto.publication.places import FolderPlace, WebPlace
from tenuto.publication.rereading import IndexReader
from tenuto.swarm.copies import Donor
from tenuto.swarm.seeding import Seeder
from tenuto.swarm.session import Fetch, Session

_SPREAD_FRAC = 0.1
"""A thousand mirrors that began together do not come together for ever."""


@dataclass(slots=True)
class Mirrored:
    """What came of following once. `left` are crates that could not be had, and why; `left_out` do not fit into the space."""

    index: Index
    is_new: bool
    held: list[IndexCrate] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    left_out: tuple[IndexCrate, ...] = ()
    is_overtaken: bool = False
    """A newer index came while crates were fetched; the rest is for the next round."""
    place_fault: str = ""
    """Why the place could not be read, and the index that is here was gone by."""
    over_space_bytes: int = 0
    """So much more is held than the space allows: the space became less."""
    swarm_bytes: int = 0
    """Received for crates by BitTorrent, web seeds among them."""
    place_bytes: int = 0
    """Received from the place itself: index, small files, and crates that no swarm gave."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror at work: its folder, the place it follows, the swarm."""

    layout: Layout
    settings: Settings
    donor: Donor
    watched: FolderPlace | WebPlace
    """The same place once more, for looks at the index while `donor` is at work in its thread."""
    reader: IndexReader
    """Reads the index, by way of `watched`."""
    session: Session
    seeder: Seeder | None
    progress: Progress
    patience_s: float
    every_s: float = 600.0
    """While it fetches, it looks for a newer index so often."""

    @property
    def place(self) -> FolderPlace | WebPlace:
        """Where the publication is."""
        return self.donor.place

    def note(self, index: Index) -> Known:
        """Remember that an index was seen here: from now on no older one is gone by. Returns what is known."""
        seen = Known(archive=index.archive, signing_public=index.signing_public, sequence=index.sequence)
        KnownPlaces(self.layout.known).note(self.place.name, seen)
        return seen

    def pause_s(self) -> float:
        """How long until the index is looked at again: a little more or less, by chance."""
        return self.every_s * SystemRandom().uniform(1 - _SPREAD_FRAC, 1 + _SPREAD_FRAC)

    @property
    def received_bytes(self) -> int:
        """Received from the place itself since the start."""
        return self.place.received_bytes + self.watched.received_bytes


@dataclass(slots=True)
class Coming:
    """A crate that is on its way; `fetch` is None while the place itself is asked for it, or will be."""

    crate: IndexCrate
    torrent: Metainfo
    path: Path
    fetch: Fetch | None = None
    was_stepped: bool = False
    """Whether the session has had a moment for it; before, nobody's patience counts."""
    was_asked_directly: bool = False
    place_fault: str = ""
    """Why the place itself did not give all of it, once it was asked."""
    shown_bytes: int = 0
