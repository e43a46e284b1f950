"""A process that writes one part of a text index: stdin says which (`parts.Part`); stdout says how far it is, or what the system
refused.
"""

import signal
import sys
from pathlib import Path

import msgspec

from tenuto.archive.processes import die_with_parent
from tenuto.catalogue.edition import open_edition
from tenuto.catalogue.search.build import write_part
from tenuto.catalogue.search.parts import Part
from tenuto.catalogue.search.rows import text_rows


def main() -> None:
    """Write the part."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who gives the work
    die_with_parent(int(sys.argv[1]))
    part = msgspec.json.decode(sys.stdin.buffer.read(), type=Part)
    rows = text_rows(open_edition(Path(part.edition)), range(part.first_track, part.end_track))
    try:
        write_part(Path(part.folder), rows, part.heap_bytes, part.bound, _say)
    except OSError as error:
        _say((error.errno or 0, error.strerror or str(error)))


def _say(what: int | tuple[int, str]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
