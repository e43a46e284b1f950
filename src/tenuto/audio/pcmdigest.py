"""The MD5 that FLAC keeps of its samples (RFC 9639, 8.2), taken while they are decoded."""

import hashlib
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame


class PcmDigest:
    """MD5 of the samples as RFC 9639 has it: interleaved, signed, little-endian, in whole bytes."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._md5 = hashlib.md5(usedforsecurity=False)

    def take(self, frame: AudioFrame) -> None:
        """Add a frame; FFmpeg keeps the bits at the top of 16- or 32-bit words."""
        words: Any = frame.to_ndarray()
        words = words.T if frame.format.is_planar else words
        shift = words.dtype.itemsize * 8 - self._bits
        plain = np.ascontiguousarray(words >> shift if shift else words)
        width = (self._bits + 7) // 8
        if width < plain.dtype.itemsize:
            plain = np.ascontiguousarray(plain.reshape(-1, 1).view(np.uint8)[:, :width])
        self._md5.update(plain.data)

    def hex(self) -> str:
        """The digest so far."""
        return self._md5.hexdigest()
