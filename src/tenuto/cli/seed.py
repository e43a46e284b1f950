"""`tenuto seed`."""

from tenuto.cli.options import HERE, Archive, open_archive
from tenuto.cli.swarm import Listen, Peers, Reach, UploadRate, swarm_options


def seed(
    *crates: str,
    listen: Listen = None,
    peer: Peers = (),
    reach: Reach = None,
    upload_rate: UploadRate = None,
    archive: Archive = HERE,
) -> None:
    """Give out the published crates by BitTorrent until it is stopped; each publication and withdrawal is followed at once.

    Parameters
    ----------
    crates
        The crates; all that are published and here, if none is named.

    """
    from tenuto.archive import ArchiveLock
    from tenuto.cli.hangup import ending_at_hang_up
    from tenuto.cli.progress import TerminalProgress
    from tenuto.swarm.seeding import seed as seed_archive

    layout, settings = open_archive(archive)
    changed = swarm_options(listen, peer, reach, upload_rate)
    settings = settings.model_copy(update={"swarm": settings.swarm.model_copy(update=changed)})
    with ending_at_hang_up(), ArchiveLock(layout.seeding_lock, "seed"), TerminalProgress() as progress:
        seed_archive(layout, settings, crates, progress.say)
