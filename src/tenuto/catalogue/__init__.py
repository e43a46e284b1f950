"""From evidence to editions: a pure function of evidence and settings, and what can be asked of its result."""

from tenuto.catalogue.build import Built, build
from tenuto.catalogue.edition import Edition, load_statements, open_current, open_edition, statement_from

__all__ = ["Built", "Edition", "build", "load_statements", "open_current", "open_edition", "statement_from"]
