"""Harvesting: drives a source, politely and resumably, and writes what it answers as evidence."""

from tenuto.harvest.run import HarvestOptions, harvest, sample

__all__ = ["HarvestOptions", "harvest", "sample"]
