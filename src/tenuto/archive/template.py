"""The tenuto.toml that `init` writes, and edits of it that keep what the operator wrote."""

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
    document = tomlkit.parse(text)
    sources = document.setdefault("sources", tomlkit.table(is_super_table=True))
    table = tomlkit.table()
    for key, value in values.items():
        if value is not None and value != {}:
            table[key] = value
    sources[name] = table
    return tomlkit.dumps(document)


def without_source(text: str, name: str) -> str:
    """The settings without `[sources.NAME]`; raises KeyError where it is not there."""
    document = tomlkit.parse(text)
    del document["sources"][name]
    return tomlkit.dumps(document)
