"""Which tracks are the same recording, from evidence alone; docs/decisions/0012-clusters.md says by which rules."""

from tenuto.catalogue.clusters.find import Clusters, find_clusters
from tenuto.catalogue.clusters.score import THRESHOLD

__all__ = ["THRESHOLD", "Clusters", "find_clusters"]
