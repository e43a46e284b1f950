"""Runs the script that every crate carries; it lies in the package, where sealing reads it."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[1] / "src/tenuto/crates/check_crate.py"), run_name="__main__")
