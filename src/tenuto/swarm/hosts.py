"""Where the peers are that were named."""

import contextlib
import ipaddress
import socket
import time
from concurrent.futures import Future, wait

from tenuto.swarm.beside import in_thread

_LOOK_UP_EVERY_S = 60.0
_FIRST_LOOK_UP_S = 2.0


class Hosts:
    """Where named peers are. Names are looked up beside the work, each once a minute; a name server that is away stops nothing."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, int]]] = {}
        self._asked: dict[str, tuple[float, Future[list[tuple[str, int]]]]] = {}

    def addresses(self, peer: str) -> list[tuple[str, int]]:
        """The addresses of HOST:PORT, as far as they are known now."""
        host, _, port = peer.rpartition(":")
        with contextlib.suppress(ValueError):
            return [(str(ipaddress.ip_address(host.strip("[]"))), int(port))]
        asked_at, answer = self._asked.get(peer, (0.0, None))
        if answer is None:
            answer = self._ask(peer)
            wait((answer,), timeout=_FIRST_LOOK_UP_S)
        elif answer.done() and time.monotonic() - asked_at > _LOOK_UP_EVERY_S:
            self._ask(peer)
        if answer.done() and answer.result():
            self._known[peer] = answer.result()
        return self._known.get(peer, [])

    def _ask(self, peer: str) -> Future[list[tuple[str, int]]]:
        answer = in_thread(lambda: _look_up(peer))
        self._asked[peer] = (time.monotonic(), answer)
        return answer


def _look_up(peer: str) -> list[tuple[str, int]]:
    host, _, port = peer.rpartition(":")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys((str(one[4][0]), int(one[4][1])) for one in found))
