"""What the verbs that meet others have in common: where to listen, whom to ask, how fast."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.model.errors import UsageError

Listen = Annotated[
    str | None,
    Parameter(help="Addresses to listen on, such as 0.0.0.0:6881; the next free port is taken where one is in use."),
]
Peers = Annotated[
    tuple[str, ...], Parameter(name="--peer", negative="", help="HOST:PORT of one who gives out. Repeatable.")
]
Reach = Annotated[
    str | None,
    Parameter(
        help="Whom others are found by: internet (DHT), lan (this network alone), peers (only those that are named)."
    ),
]
UploadRate = Annotated[str | None, Parameter(name="--upload-rate", help="At most so much a second, such as 2MB.")]
DownloadRate = Annotated[str | None, Parameter(name="--download-rate", help="At most so much a second, such as 5MB.")]


def swarm_options(
    listen: str | None,
    peers: Sequence[str],
    reach: str | None,
    upload_rate: str | None,
    download_rate: str | None = None,
) -> dict[str, Any]:
    """The settings of [swarm] that the words of the command line change; raises UsageError with all that is wrong in them."""
    from tenuto.archive.settings import SwarmSettings
    from tenuto.model.documents import validate
    from tenuto.model.errors import SettingsError

    said = {"listen": listen, "peers": tuple(peers) or None, "reach": reach, "upload_bytes_per_s": upload_rate,
            "download_bytes_per_s": download_rate}  # fmt: skip
    given = {name: value for name, value in said.items() if value is not None}
    try:
        found = validate(SwarmSettings, given, "the command line")
    except SettingsError as error:
        raise UsageError(str(error)) from None
    return {name: getattr(found, name) for name in given}
