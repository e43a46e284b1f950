"""The signed index of the publication that lies here: an archive's own, or in a mirror that of the archive it follows."""

import time

from tenuto.archive import Layout, Settings
from tenuto.model.errors import IntegrityError, TenutoError, UsageError
from tenuto.publication.documents import INDEX_NAME, SIGNATURE_NAME, Index, parse_index, verify_index
from tenuto.publication.known import KnownPlaces


class NothingPublishedError(UsageError):
    """There is no signed index here, or no more."""


def read_own_signed(layout: Layout, settings: Settings) -> Index:
    """The index of the archive's own publication (in a mirror: of the one it follows), held to the pinned key.

    It and its signature are replaced one after the other: what does not fit is read again for a while.
    """
    for last in (False, False, False, True):
        try:
            content = (layout.publication / INDEX_NAME).read_bytes()
            verify_index(content, (layout.publication / SIGNATURE_NAME).read_bytes(), settings.keys.signing_public)
            return parse_index(content)
        except FileNotFoundError:
            run = "tenuto mirror" if settings.mirror else "tenuto publish"
            raise NothingPublishedError(
                f"{layout.publication} holds no signed index: nothing is published; run: {run}"
            ) from None
        except IntegrityError:
            if last:
                raise
            time.sleep(0.3)
    raise AssertionError


def shown(layout: Layout, settings: Settings) -> Index | None:
    """The index that lies here, if there is one that can be used."""
    try:
        return read_own_signed(layout, settings)
    except (TenutoError, OSError):
        return None


def is_behind(layout: Layout, settings: Settings, index: Index) -> bool:
    """Whether a mirror has seen a newer index than this one: what that took back is not known here, so nothing may come by this.

    So it is where a round died in the middle. Raises SettingsError where what was seen cannot be read.
    """
    if settings.mirror is None:
        return False
    return index.sequence < KnownPlaces(layout.known).highest(settings.keys.signing_public)
