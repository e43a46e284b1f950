"""Whether the ports of BitTorrent are free here. Whether others reach them cannot be seen from here, and that is said."""

import contextlib
import errno
import re
import socket
from pathlib import Path

from tenuto.doctor.result import Result

_TOPIC = "ports"
DEFAULT_LISTEN = "0.0.0.0:6881,[::]:6881"
_PRIVILEGED_PORTS = 1024
_PROC = Path("/proc")
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def look(listen: str = DEFAULT_LISTEN, *, is_public: bool = True) -> list[Result]:
    """Bind each address of `listen` (as libtorrent takes it) for a moment; `is_public`: others are to find us."""
    addresses = [_address(part) for part in listen.split(",")]
    results = [
        one
        for host, port in addresses
        for kind in _KINDS
        if host is not None and (one := _bound(host, port, kind)) is not None
    ]
    if wrong := [part for part, (host, _) in zip(listen.split(","), addresses, strict=True) if host is None]:
        message = f"whether {', '.join(wrong)} is free was not tried: it is no address with a port"
        results.append(Result(_TOPIC, "note", message, "write it as in swarm.listen of docs/cli.md: 0.0.0.0:6881"))
    numbers = sorted({port for host, port in addresses if host is not None})
    ports = " and ".join(map(str, numbers))
    if not results and numbers:
        results = [Result(_TOPIC, "ok", f"port {ports} is free for BitTorrent, TCP and UDP")]
    return [*_once(results), *([_reach(ports)] if is_public and numbers else [])]


def _reach(ports: str) -> Result:
    message = (
        f"whether port {ports} is reached from outside cannot be seen from here; without it seeding finds fewer others"
    )
    return Result(_TOPIC, "note", message, f"in the router, forward port {ports}, TCP and UDP, to this machine; "
                  f"in its firewall open the same: sudo ufw allow {ports.split(maxsplit=1)[0]}")  # fmt: skip


def _address(text: str) -> tuple[str | None, int]:
    match = re.fullmatch(r"\s*(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})s?\s*", text)
    return (match[1] or match[2], int(match[3])) if match and int(match[3]) < 2**16 else (None, 0)


def _bound(host: str, port: int, kind: str) -> Result | None:
    """None where the address is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, _KINDS[kind]) as tried:
            if kind == "TCP":
                tried.setsockopt(
                    socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
                )  # what was closed a minute ago does not count
            if family == socket.AF_INET6:
                tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tried.bind((host, port))
    except OSError as error:
        return _refused(host, port, kind, error)
    return None


def _refused(host: str, port: int, kind: str, error: OSError) -> Result | None:
    if error.errno == errno.EADDRINUSE:
        return _taken(port, kind, holder_of(port, kind))
    if error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL} and host == "::":
        return None  # a machine without IPv6 has IPv4
    if error.errno == errno.EACCES and port < _PRIVILEGED_PORTS:
        message = f"port {port} ({kind}) is for root alone"
        return Result(
            _TOPIC, "warning", message, 'take one above 1023: listen = "0.0.0.0:6881" under [swarm] in tenuto.toml'
        )
    message = f"{host}, port {port} ({kind}) cannot be listened at: {error.strerror}"
    return Result(_TOPIC, "warning", message, "mend listen under [swarm] in tenuto.toml")


def _taken(port: int, kind: str, holder: tuple[int, str] | None) -> Result:
    if holder is not None and re.search(r"tenuto\S* .*\bseed\b", holder[1]):
        return Result(_TOPIC, "ok", f"port {port} ({kind}) is held by tenuto seed (process {holder[0]})")
    who = f"process {holder[0]}: {holder[1][:80]}" if holder else "a process that only root can see: sudo ss -lntup"
    message = f"port {port} ({kind}) is taken by {who}; tenuto seed cannot listen there meanwhile"
    return Result(
        _TOPIC,
        "warning",
        message,
        'stop that, or take another port: listen = "0.0.0.0:6882,[::]:6882" under [swarm] in tenuto.toml',
    )


def holder_of(port: int, kind: str) -> tuple[int, str] | None:
    """Number and command of the process that holds a port; None where it is not ours to see."""
    inodes = {f"socket:[{inode}]" for inode in _inodes_of(port, kind)}
    for process in _PROC.glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):
            if any(str(one.readlink()) in inodes for one in (process / "fd").iterdir()):
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                return int(process.name), words or "no name"
    return None


def _inodes_of(port: int, kind: str) -> set[str]:
    """The sockets that are bound to a port, by the kernel's table (proc(5))."""
    found = set()
    for name in (kind.lower(), f"{kind.lower()}6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                is_open = kind == "UDP" or fields[3] == "0A"  # 0A: listening
                if is_open and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _once(results: list[Result]) -> list[Result]:
    return list(dict.fromkeys(results))
