"""The swarm: crates exchanged with others by BitTorrent, mirrors, and mending what is damaged from wherever it is whole."""
