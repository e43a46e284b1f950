"""BitTorrent as we use it: give crates out, fetch crates, by libtorrent. What crates these are is decided elsewhere.

Only torrents that `read_metainfo` took come here, so piece layers are there and names are plain. Nobody's limit is passed over:
rates hold for peers of the local network too. We say who we are.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tenuto import __version__
from tenuto.archive.settings import SwarmSettings
from tenuto.crates.torrent import Metainfo
from tenuto.model.errors import UsageError
from tenuto.publication.places.protocol import nobody
from tenuto.swarm.hosts import Hosts

CALL_AGAIN_S = 2.0
"""How often peers are named to libtorrent again; when it calls them is said by `_pause_s`."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2, 60

_STOP_TIMEOUT_S = 2
_SAY_EVERY_S = 60.0

State = Literal["checking", "fetching", "done", "failed"]


@dataclass(slots=True)
class Fetch:
    """A crate on its way in. `done_bytes` are proven and on this machine, `received_bytes` came from others meanwhile."""

    name: str
    bytes: int
    state: State = "checking"
    done_bytes: int = 0
    received_bytes: int = 0
    failed_pieces: int = 0
    peers: int = 0
    error: str = ""
    errno: int = 0
    """Where the system refused something, such as room on the disk."""
    moved_at: float = field(default_factory=time.monotonic)
    """When a byte came last, or it began."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in {"done", "failed"}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over the wire since the session began, and with how many: payload alone."""

    received_bytes: int
    sent_bytes: int
    peers: int


class Session:
    """A member of swarms, as a context manager; leaving it stops all transfers, what was fetched stays.

    Raises UsageError where none of the addresses of `settings.listen` can be listened on.
    """

    def __init__(self, settings: SwarmSettings, say: Callable[[str], None] = nobody) -> None:
        import libtorrent  # noqa: PLC0415 -- heavy

        self._lt: Any = libtorrent
        self._settings = settings
        self._say = say
        self._handles: dict[str, Any] = {}
        self._fetches: dict[str, Fetch] = {}
        self._sent_bytes = self._received_bytes = 0  # of torrents that were removed
        self._said: dict[str, tuple[float, int]] = {}
        self._hosts = Hosts()
        self._called_at = self._fetching_since = 0.0
        self._pause_s = _LONGEST_PAUSE_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_session" not in self.__dict__:  # nothing was ever asked of it
            return
        self._session.pause()
        for name in list(self._handles):
            self.remove(name)
        self._settle(_STOP_TIMEOUT_S)
        del self._session

    @cached_property
    def _session(self) -> Any:
        """Begun with its first crate: libtorrent calls peers once a second, and at once in its first moments."""
        session = self._lt.session(_options(self._lt, self._settings))
        session.set_peer_class_filter(_limits_for_all(self._lt, session))
        return session

    @property
    def port(self) -> int:
        """The TCP port that it listens on; raises UsageError where it listens on none."""
        port: int = self._session.listen_port()
        if not port:
            raise UsageError(
                f"nobody can reach us at {self._settings.listen}: the address is not this machine's, or every port tried is taken; "
                "name another one with --listen HOST:PORT"
            )
        return port

    @property
    def traffic(self) -> Traffic:
        """What went over the wire."""
        found = [handle.status() for handle in self._handles.values() if handle.is_valid()]
        received = self._received_bytes + sum(one.total_payload_download for one in found)
        sent = self._sent_bytes + sum(one.total_payload_upload for one in found)
        return Traffic(received, sent, sum(one.num_peers for one in found))

    def seed(self, torrent: Metainfo, folder: Path) -> None:
        """Give out a crate that lies whole in `folder`; each piece is proven when it is first asked for."""
        flags = self._lt.torrent_flags
        self._add(torrent, folder, flags.seed_mode)

    def fetch(self, torrent: Metainfo, folder: Path, web_seeds: Sequence[str] = ()) -> Fetch:
        """Bring a crate into `folder`: what lies there already is proven and kept, what is missing or damaged comes from others.

        `web_seeds` are addresses of the very file (BEP 19).
        """
        if not self._fetches:
            self._fetching_since = time.monotonic()
            self._called_at = 0.0
        self._add(torrent, folder, 0, web_seeds)
        fetch = self._fetches[torrent.name] = Fetch(torrent.name, torrent.length)
        return fetch

    def is_here(self, name: str) -> bool:
        """Whether a crate file of this name is given out or fetched."""
        return name in self._handles

    def remove(self, name: str) -> None:
        """Give it out, or fetch it, no longer; the file stays."""
        handle = self._handles.pop(name, None)
        self._fetches.pop(name, None)
        if handle is not None and handle.is_valid():
            status = handle.status()
            self._received_bytes += status.total_payload_download
            self._sent_bytes += status.total_payload_upload
            self._session.remove_torrent(handle)

    def step(self, timeout_s: float) -> None:
        """Wait for something to happen, at most so long, and note it."""
        self._session.wait_for_alert(int(timeout_s * 1000))
        for alert in self._session.pop_alerts():
            self._note(alert)
        for name, fetch in self._fetches.items():
            self._look(self._handles[name], fetch)
        if time.monotonic() - self._called_at > CALL_AGAIN_S:
            self._set_pause()
            self._call_peers()

    def finish(self, name: str) -> None:
        """Until all of a fetched crate is with the system, not with libtorrent; it is then given out no more."""
        handle = self._handles.get(name)
        if handle is None or not handle.is_valid():
            return
        handle.flush_cache()
        self._until(self._lt.cache_flushed_alert, name)
        self.remove(name)
        self._until(self._lt.torrent_removed_alert, name)

    def _add(self, torrent: Metainfo, folder: Path, flags: Any, web_seeds: Sequence[str] = ()) -> None:
        lt = self._lt
        self.remove(torrent.name)
        asked = lt.load_torrent_buffer(torrent.encode())
        own = lt.torrent_flags
        asked.flags = (asked.flags | flags | own.override_trackers) & ~own.auto_managed & ~own.paused
        if self._settings.reach == "peers":
            asked.flags |= own.disable_dht | own.disable_lsd | own.disable_pex
        elif self._settings.reach == "lan":
            asked.flags |= own.disable_dht
        asked.save_path = str(folder)
        asked.storage_mode = lt.storage_mode_t.storage_mode_sparse
        asked.trackers = list(self._settings.trackers)
        asked.url_seeds = list(web_seeds)
        asked.peers = [address for peer in self._settings.peers for address in self._hosts.addresses(peer)]
        self._handles[torrent.name] = self._session.add_torrent(asked)

    def _note(self, alert: Any) -> None:
        lt = self._lt
        if isinstance(alert, lt.torrent_error_alert | lt.file_error_alert):
            self._failed(_name(alert), alert.error)
        elif isinstance(alert, lt.hash_failed_alert):
            fetch = self._fetches.get(_name(alert))
            if fetch is not None:
                fetch.failed_pieces += 1
                self._say_seldom(
                    "hash", f"{fetch.name}: somebody gave other bytes for piece {alert.piece_index}; they were dropped"
                )
        elif isinstance(alert, lt.peer_ban_alert):
            self._say_seldom(
                "ban", f"{_name(alert)}: {alert.ip[0]} gave other bytes than were promised and is asked no more"
            )
        elif isinstance(alert, lt.url_seed_alert):
            self._say_seldom("web", f"{_name(alert)}: {_plain(alert.message())}")
        elif isinstance(alert, lt.listen_failed_alert):
            self._say_seldom("listen", f"cannot listen on {alert.address}:{alert.port}: {alert.error.message()}")
        elif isinstance(alert, lt.state_changed_alert):
            self._changed(_name(alert), alert.state)

    def _failed(self, name: str, error: Any) -> None:
        fetch = self._fetches.get(name)
        if fetch is not None:
            fetch.state, fetch.error = "failed", error.message()
            fetch.errno = error.value() if error.category().name() == "system" else 0
        elif name in self._handles:
            self.remove(name)
            self._say_seldom(
                "error",
                f"{name}: {error.message()}; it is given out no more until its file is another, run: tenuto check",
            )

    def _changed(self, name: str, state: Any) -> None:
        """A crate that is given out and is no longer whole: a piece did not prove when it was asked for."""
        states = self._lt.torrent_status
        if name in self._handles and name not in self._fetches and state in {states.checking_files, states.downloading}:
            self.remove(name)
            self._say(
                f"{name} is damaged on this disk and is given out no more; run: tenuto repair {name.removesuffix('.zip')}"
            )

    def _say_seldom(self, kind: str, message: str) -> None:
        """Say one of a kind a minute, and how many were not said meanwhile."""
        said_at, kept = self._said.get(kind, (-_SAY_EVERY_S, 0))
        if time.monotonic() - said_at < _SAY_EVERY_S:
            self._said[kind] = (said_at, kept + 1)
            return
        self._said[kind] = (time.monotonic(), 0)
        self._say(f"{message} (and {kept:,} more like it before)" if kept else message)

    def _look(self, handle: Any, fetch: Fetch) -> None:
        """Note how far it is."""
        if fetch.is_over or not handle.is_valid():
            return
        status, states = handle.status(), self._lt.torrent_status
        moved = status.total_payload_download > fetch.received_bytes or status.total_done != fetch.done_bytes
        if moved or status.state in {states.checking_files, states.checking_resume_data}:
            fetch.moved_at = time.monotonic()
        fetch.done_bytes, fetch.received_bytes = status.total_done, status.total_payload_download
        fetch.peers = status.num_peers
        if status.errc.value():
            self._failed(fetch.name, status.errc)
        elif status.is_seeding:
            fetch.state = "done"
        elif status.state == states.downloading:
            fetch.state = "fetching"

    def _set_pause(self) -> None:
        """How long a peer that hung up is left alone: who has just published may know the crates in a moment, so it is
        called after 2 s at first, and then with pauses that grow with the time that has gone by. libtorrent calls nobody
        more often, but for once or twice at once, with the other kind of encryption.
        """
        pause_s = _LONGEST_PAUSE_S
        if self._fetches:
            elapsed_s = time.monotonic() - self._fetching_since
            pause_s = int(min(max(_FIRST_PAUSE_S, elapsed_s * 2 / 3), _LONGEST_PAUSE_S))
        if pause_s != self._pause_s:
            self._pause_s = pause_s
            self._session.apply_settings({"min_reconnect_time": pause_s})

    def _call_peers(self) -> None:
        """Connect to the peers that were named; those that are connected stay so. As if a tracker had named them: else
        libtorrent calls nobody any more who was away three times.
        """
        self._called_at = time.monotonic()
        known = [address for peer in self._settings.peers for address in self._hosts.addresses(peer)]
        for name in self._fetches:
            for address in known:
                with contextlib.suppress(RuntimeError):  # not started yet
                    self._handles[name].connect_peer(address, self._lt.peer_info.tracker)

    def _until(self, kind: Any, name: str, timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self._session.wait_for_alert(200)
            alerts = self._session.pop_alerts()
            for alert in alerts:
                self._note(alert)
            if any(isinstance(alert, kind) and _name(alert) == name for alert in alerts):
                return

    def _settle(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while self._session.get_torrents() and time.monotonic() < end:
            self._session.wait_for_alert(50)
            self._session.pop_alerts()


def _limits_for_all(lt: Any, session: Any) -> Any:
    """Peers of the local network under the limits too, which libtorrent leaves free."""
    every = lt.ip_filter()
    own = 1 << session.global_peer_class_id
    every.add_rule("0.0.0.0", "255.255.255.255", own)  # noqa: S104 -- all addresses, nothing is bound
    every.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", own)
    return every


def _options(lt: Any, settings: SwarmSettings) -> dict[str, Any]:
    is_open, is_near = settings.reach == "internet", settings.reach != "peers"
    kinds = lt.alert_category
    return {
        "user_agent": f"tenuto/{__version__}",
        "listen_interfaces": settings.listen,
        "enable_dht": is_open, "enable_upnp": is_open, "enable_natpmp": is_open, "enable_lsd": is_near,
        "enable_outgoing_utp": False,  # measured on loopback: 9 MB/s by uTP, 240 by TCP
        "alert_mask": kinds.status | kinds.error | kinds.storage | kinds.peer,
        "alert_queue_size": 10_000,
        "upload_rate_limit": settings.upload_bytes_per_s, "download_rate_limit": settings.download_bytes_per_s,
        "active_limit": -1, "active_seeds": -1, "active_downloads": -1,
        "hashing_threads": 2,
        "ban_web_seeds": True, "ssrf_mitigation": True,  # a web seed elsewhere may not send us into our own network
        "allow_multiple_connections_per_ip": True,  # several mirrors behind one address
        "min_reconnect_time": _LONGEST_PAUSE_S,
        "peer_connect_timeout": 10,
        "stop_tracker_timeout": 1, "tick_interval": 100,  # peers are called at ticks: by default half a second goes by first
        "max_metadata_size": 0, "max_retry_port_bind": 20,
    }  # fmt: skip


def _plain(text: str) -> str:
    """What a stranger said, in a form that a terminal can be shown."""
    return "".join(char if char.isprintable() else " " for char in text)[:300]


def _name(alert: Any) -> str:
    name: str = alert.torrent_name
    return name
