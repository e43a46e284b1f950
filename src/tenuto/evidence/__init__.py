"""What sources answered, kept as it came with secrets cut: WARC 1.1 files, one folder a harvest."""

from tenuto.evidence.byteranges import Span, pack_spans, unpack_spans
from tenuto.evidence.harvests import EvidenceFile, HarvestManifest, all_harvests, finished_harvests, unfinished_harvest
from tenuto.evidence.reader import EvidenceRecord, read_records, whole_length
from tenuto.evidence.redact import Redactor
from tenuto.evidence.writer import EvidenceWriter

__all__ = [
    "EvidenceFile",
    "EvidenceRecord",
    "EvidenceWriter",
    "HarvestManifest",
    "Redactor",
    "Span",
    "all_harvests",
    "finished_harvests",
    "pack_spans",
    "read_records",
    "unfinished_harvest",
    "unpack_spans",
    "whole_length",
]
