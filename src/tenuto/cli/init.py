"""`tenuto init`: make an archive."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tenuto.cli.options import Json, print_json
from tenuto.cli.tables import line


def init(
    folder: Path,
    /,
    *,
    name: str,
    contact: str,
    keys: Annotated[Path | None, Parameter(help="Where the secrets go; default ~/.config/tenuto/NAME.")] = None,
    json: Json = False,
) -> None:
    """Make an archive: a commented tenuto.toml, and outside of it the signing key and the age identity.

    Parameters
    ----------
    folder
        Where the archive will be; made if it does not exist.
    name
        The archive's name: lower-case letters, digits, hyphens. It becomes part of every crate's name.
    contact
        An address at which a source can reach you; it stands in every request.

    """
    from tenuto.archive.create import create

    made = create(folder, name, contact, keys, dict(os.environ))
    if json:
        print_json({"archive": str(made.layout.root), "keys": str(made.keys_folder), "signing_public": made.keys.signing_public,
                    "age_recipient": made.keys.age_recipient})  # fmt: skip
        return
    line(f"archive   {made.layout.root}")
    line(f"settings  {made.layout.settings}")
    line(f"keys      {made.keys_folder}")
    line()
    line("Back up the keys now, to a place that is not this machine: without signing.pem mirrors accept no new index")
    line("from you, without identity.age nobody opens a dark crate again. They are nowhere else.")
    line()
    line("Next: tenuto source add KIND LOCATION --name NAME [--permission FILE]")
