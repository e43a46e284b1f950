"""The music service of `make demo`: free music, its operator's permission, a real Supysonic and an audience.

Nothing here is part of Tenuto: these modules play the *other side*, a small service that lets itself be archived.
"""
