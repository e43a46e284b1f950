"""From evidence to editions: `build` is a pure function of evidence and settings; here is what can be asked of its result."""

from tenuto.catalogue.edition import Edition, load_statements, open_current, open_edition, statement_from

__all__ = ["Edition", "load_statements", "open_current", "open_edition", "statement_from"]
