"""From evidence to editions: a pure function of evidence and settings, and what can be asked of its result."""

from tenuto.catalogue.build import Built, build
from tenuto.catalogue.edition import Edition, open_current

__all__ = ["Built", "Edition", "build", "open_current"]
