"""Made-up catalogues of any size, as evidence or as tables: what the speed and the size of everything else is tried on.

Each is a function of a seed and a number of tracks, with the published figures of a real one (docs/decisions/0011-generator.md).
"""

from tenuto.bench.tables import tables, truth

__all__ = ["tables", "truth"]
