"""Asking the swarm for what no place could give."""

import time
from dataclasses import dataclass
from pathlib import Path

from tenuto.archive.settings import SwarmSettings
from tenuto.crates.torrent import Metainfo
from tenuto.model.progress import Progress
from tenuto.swarm.session import Session

SWARM = "swarm"
_STEP_S = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of it: bytes from peers, and why it is not all there ("": it is)."""

    received_bytes: int
    fault: str


def has_somebody(settings: SwarmSettings) -> bool:
    """Whether there is anybody to be asked."""
    return settings.reach != "peers" or bool(settings.peers or settings.trackers)


def fetch_from_peers(
    session: Session, metainfo: Metainfo, folder: Path, progress: Progress, patience_s: float
) -> Asked:
    """Let peers mend `folder`/name in place: only what does not prove is fetched. Gives up where no byte comes for so long."""
    fetch = session.fetch(metainfo, folder)
    progress.begin(f"ask peers for {metainfo.name}", metainfo.length, "bytes")
    shown = 0
    try:
        while not fetch.is_over and time.monotonic() - fetch.moved_at < patience_s:
            session.step(_STEP_S)
            progress.advance(max(0, fetch.done_bytes - shown))
            shown = max(shown, fetch.done_bytes)
    finally:
        session.finish(metainfo.name)
    if fetch.state == "done":
        return Asked(fetch.received_bytes, "")
    if fetch.error:
        return Asked(fetch.received_bytes, f"{SWARM}: {fetch.error}")
    wrong = f", and {fetch.failed_pieces} pieces that came were other bytes" if fetch.failed_pieces else ""
    return Asked(fetch.received_bytes, f"{SWARM}: nobody gave it for {patience_s:.0f} s ({fetch.peers} peers){wrong}")
