"""The text index of an edition: titles, artists and releases, found as people type them (docs/decisions/0013-search.md).

`find` reads it, `build` writes it, `parts` writes that of an edition; each is imported by itself, so that readers begin at once.
"""
