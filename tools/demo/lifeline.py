"""Run a Python script that ends as soon as its stdin does: lifeline.py <script> <arguments>.

Whoever starts it holds the other end of stdin, a pipe; the system closes that end even after kill -9, so no server is
left behind.
"""

import os
import runpy
import sys
import threading


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
