"""The sound itself: so far its tags and its header; decoding comes with the crates."""

from tenuto.audio.blocks import SparseFile, TouchedFile
from tenuto.audio.formats import AUDIO_SUFFIXES, is_lossless_suffix, sniff
from tenuto.audio.tags import Tags, read_tags
from tenuto.audio.truncation import find_truncation

__all__ = [
    "AUDIO_SUFFIXES",
    "SparseFile",
    "Tags",
    "TouchedFile",
    "find_truncation",
    "is_lossless_suffix",
    "read_tags",
    "sniff",
]
