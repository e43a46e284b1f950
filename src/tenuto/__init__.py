"""Tenuto replicates a music catalogue, with permission, into an archive that outlives the service."""

__version__ = "0.1.0"
