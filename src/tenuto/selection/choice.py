"""The choice itself: for each track its band, tier, size, value, and whether it is kept, each with a reason."""

from dataclasses import dataclass

import numpy as np

from tenuto.archive.settings import SelectionSettings
from tenuto.model.statuses import EXCLUDED, NOT_PERMITTED, OVER_BUDGET, PLANNED, STATUSES, UNAVAILABLE
from tenuto.selection.candidates import Bools, Candidates, Floats, Ints
from tenuto.selection.knapsack import fill
from tenuto.selection.tiers import NONE, band_numbers, choose_tiers, original_bytes
from tenuto.selection.value import values


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided for each track, column by column."""

    band: Ints
    tier: list[str]
    size: Ints
    value: Floats
    chosen: Bools
    status: list[str]
    reason: list[str]
    bound: float


def choose(tracks: Candidates, policy: SelectionSettings, budget_bytes: int) -> Choice:
    """Decide for every track; the value of the linear optimum stands beside the choice."""
    band = band_numbers(tracks, policy.bands)
    tiers, size, tier_reason = choose_tiers(tracks, band, policy.bands, lossy_to_lossy=policy.lossy_to_lossy)
    value = values(tracks, policy.value, policy.value_cap_s)
    is_sized = (size > 0) & (original_bytes(tracks) > 0)
    is_wanted = np.array([tier != NONE for tier in tiers], dtype=np.bool_)
    may = tracks.is_offered & is_sized & tracks.may_keep & is_wanted
    chosen, bound = fill(value, size, may, budget_bytes)
    status, reason = [], []
    for row in range(len(tracks)):
        name, why = _status(row, tracks, policy.bands[band[row]].name, is_sized, is_wanted, chosen)
        status.append(name)
        reason.append(tier_reason[row] or why if name == PLANNED else why)
    return Choice(band, tiers, size, value, chosen, status, reason, bound)


def _status(
    row: int, tracks: Candidates, band: str, is_sized: Bools, is_wanted: Bools, chosen: Bools
) -> tuple[str, str]:
    if not tracks.is_offered[row]:
        return UNAVAILABLE, "the source offers no audio for it"
    if not is_sized[row]:
        return UNAVAILABLE, "the source says neither its size nor its bit rate, or a size of 0"
    if not tracks.may_keep[row]:
        return NOT_PERMITTED, tracks.keep_reason[row]
    if not is_wanted[row]:
        return EXCLUDED, f"the policy keeps nothing of band {band}"
    if not chosen[row]:
        return OVER_BUDGET, STATUSES[OVER_BUDGET]
    return PLANNED, f"band {band}"
