"""Any OpenSubsonic server (opensubsonic.netlify.app), from Subsonic API 1.8 on."""

from tenuto.sources.subsonic.connector import Options, Subsonic
from tenuto.sources.subsonic.parse import parse

__all__ = ["Options", "Subsonic", "parse"]
