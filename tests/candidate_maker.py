"""Candidates for the planner from plain lists, without an edition; what is not given is unknown."""

from dataclasses import fields

import numpy as np
import pyarrow as pa

from tenuto.selection.candidates import UNKNOWN, Candidates


def candidates(**columns):
    """Columns of equal length; `assumed_listens` are the `listens` unless given."""
    rows = len(next(iter(columns.values())))
    columns.setdefault("assumed_listens", columns.get("listens", [UNKNOWN] * rows))
    columns.setdefault("source", [0] * rows)
    filled = {}
    for field in fields(Candidates):
        if field.name == "table":
            filled["table"] = pa.table({"track_row": pa.array(range(rows), pa.uint32())})
        elif field.name == "keep_reason":
            filled["keep_reason"] = ["nothing forbids it"] * rows
        elif field.name.startswith(("is_", "may_")):
            filled[field.name] = np.array(columns.pop(field.name, [True] * rows), dtype=np.bool_)
        else:
            filled[field.name] = np.array(columns.pop(field.name, [UNKNOWN] * rows), dtype=np.int64)
    assert not columns, f"no such columns: {columns}"
    return Candidates(**filled)
