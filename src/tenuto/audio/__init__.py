"""The sound itself: its tags, its header, whether all of it can be decoded, and the derivative made of it."""

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
