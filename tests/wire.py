"""A switch with delay and loss between network namespaces, each with a TAP interface: what `tc netem` does, on any Linux kernel.

python wire.py DELAY_MS LOSS_PCT NAMESPACE ADDRESS [NAMESPACE ADDRESS …]: it lays itself, says "ready", and lies until its stdin
ends. Every frame comes so much later, in its order, or not at all. MTU 1500, nothing is coalesced on the way. Needs root.
"""

import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque

INTERFACE = "wire0"
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_FRAME_MAX_BYTES = 2048
_WAITING_MAX = 50_000


def lay(name: str, namespace: str, address: str) -> int:
    """An interface in a namespace whose other end is the descriptor that is returned."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    for words in (
        ["link", "set", name, "netns", namespace],
        ["-n", namespace, "link", "set", name, "name", INTERFACE],
        ["-n", namespace, "addr", "add", f"{address}/24", "dev", INTERFACE],
        ["-n", namespace, "link", "set", INTERFACE, "up"],
        ["-n", namespace, "link", "set", "lo", "up"],
    ):
        subprocess.run(["ip", *words], check=True)
    return end


def carry(ends: list[int], delay_s: float, loss_frac: float) -> None:
    """Carry frames until stdin ends."""
    chance, learned = random.Random(1), {}
    waiting: deque[tuple[float, int, bytes]] = deque()
    poll = select.epoll()
    for end in (*ends, 0):
        poll.register(end, select.EPOLLIN | (select.EPOLLHUP if end == 0 else 0))
    while True:
        pause_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 1.0
        for end, _ in poll.poll(pause_s):
            if end == 0:
                return
            with contextlib.suppress(OSError):
                while True:
                    frame = os.read(end, _FRAME_MAX_BYTES)
                    learned[frame[6:12]] = end
                    if chance.random() >= loss_frac and len(waiting) < _WAITING_MAX:
                        waiting.append((time.monotonic() + delay_s, end, frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, origin, frame = waiting.popleft()
            known = learned.get(frame[:6])
            for end in (known,) if known is not None else ends:
                if end != origin:
                    with contextlib.suppress(OSError):  # that link is down
                        os.write(end, frame)


def main() -> None:
    delay_ms, loss_pct, *rest = sys.argv[1:]
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    ends = [lay(f"w{os.getpid()}n{number}", *pair) for number, pair in enumerate(pairs)]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    carry(ends, float(delay_ms) / 1000, float(loss_pct) / 100)


if __name__ == "__main__":
    main()
