"""The tenuto.toml that `init` writes, and edits of it that keep what the operator wrote."""

import re
import tomllib
from typing import Any

import tomlkit

from tenuto.archive.keys import PublicKeys

TEMPLATE = """\
# The settings of one Tenuto archive. Every key is explained in docs/cli.md; unknown keys are refused.
format = 1

[archive]
name = {name}
contact = {contact}          # stands in every request, so that a source can reach you
territory = "worldwide"      # where you give out; two letters (ISO 3166-1) for one country

[keys]
# The secrets lie OUTSIDE the archive. Back them up: without the signing key mirrors accept no new index from you,
# without the identity nobody opens a dark crate again.
folder = {folder}
signing_public = "{keys.signing_public}"
age_recipients = ["{keys.age_recipient}"]

[politeness]                 # ceilings for sources that set none of their own
rate_per_s = 4.0
concurrency = 2
timeout_s = 30.0
tries = 5                    # a request is tried so often before it is given up
pause_max_s = 300.0          # the longest pause between two tries

[selection]
budget = "100%"              # "500 GB", "24 MB", or a share of the originals' bytes such as "60%"
value = "listened_seconds"   # listens x the shorter of duration and value_cap_s; or "listens"
value_cap_s = 1800
lossy_to_lossy = false       # true: a lossy original may be kept as a lossy copy (it is marked in every table)

[[selection.bands]]          # the first band that a track reaches; by popularity, or by listens where there is none
name = "heard"
popularity_min = 1
listens_min = 1
tier = "original"            # the source's own bytes

[[selection.bands]]
name = "unheard"
popularity_min = 0
listens_min = 0
tier = "opus-75"             # lossless originals become Opus 75 kbit/s; "none" keeps nothing

[crates]
target_bytes = "10 GB"       # 64 GB suits archives above 1 TB
recordings_max = 20000

# Sources are added with: tenuto source add KIND LOCATION --name NAME [--permission FILE]
"""


def settings_text(name: str, contact: str, folder: str, keys: PublicKeys) -> str:
    """The commented tenuto.toml of a new archive."""
    quoted = {key: tomlkit.string(value).as_string() for key, value in
              {"name": name, "contact": contact, "folder": folder}.items()}  # fmt: skip
    return TEMPLATE.format(keys=keys, **quoted)


def with_source(text: str, name: str, values: dict[str, Any]) -> str:
    """The settings with `[sources.NAME]` added or replaced; comments elsewhere stay."""
    table = {key: value for key, value in values.items() if value is not None and value != {}}
    lines = text.splitlines(keepends=True)
    taken = _lines_of(lines, name)
    block = tomlkit.dumps({"sources": {name: table}})
    if taken:
        before, after = lines[: taken.start], lines[taken.stop :]
    else:
        before, after = [text.rstrip("\n"), "\n\n"], []
    wanted = tomllib.loads(text)
    wanted.setdefault("sources", {})[name] = table
    edited = "".join([*before, block, *after])
    return edited if _says(edited, wanted) else _edit_tree(text, name, table)


def without_source(text: str, name: str) -> str:
    """The settings without `[sources.NAME]`; raises KeyError where it is not there. Comments elsewhere stay."""
    wanted = tomllib.loads(text)
    del wanted["sources"][name]
    lines = text.splitlines(keepends=True)
    taken = _lines_of(lines, name)
    edited = "".join([*lines[: taken.start], *lines[taken.stop :]])
    return edited if _says(edited, wanted) else _edit_tree(text, name, None)


def _lines_of(lines: list[str], name: str) -> range:
    """The lines of a source's tables, from the first header to the last setting; what comments follow are the next one's."""
    header = re.compile(rf"\s*\[\s*sources\s*\.\s*[\"']?{re.escape(name)}[\"']?\s*[.\]]")
    first = next((number for number, line in enumerate(lines) if header.match(line)), 0)
    end = first
    for number, line in enumerate(lines[first:], first):
        if line.lstrip().startswith("[") and not header.match(line):
            break
        if line.strip() and not line.lstrip().startswith("#"):
            end = number + 1
    return range(first, end if lines and header.match(lines[first]) else first)


def _says(text: str, wanted: dict[str, Any]) -> bool:
    """Whether an edited text means what it should: tables may be written in ways that lines do not show."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return {**said, "sources": said.get("sources", {})} == {**wanted, "sources": wanted.get("sources", {})}


def _edit_tree(text: str, name: str, table: dict[str, Any] | None) -> str:
    """The edit by the parsed tree: right for every way of writing tables, but it drops comments before the next one."""
    document = tomlkit.parse(text)
    sources: Any = document.setdefault("sources", tomlkit.table(is_super_table=True))
    if table is None:
        del sources[name]
    else:
        sources[name] = table
    return tomlkit.dumps(document)
