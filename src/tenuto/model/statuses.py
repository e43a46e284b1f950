"""What may be the status of a live track; each has exactly one, and the counts add up (design, law 6)."""

UNPLANNED = "unplanned"
PLANNED = "planned"
OVER_BUDGET = "over_budget"
EXCLUDED = "excluded"
NOT_PERMITTED = "not_permitted"
UNAVAILABLE = "unavailable"
KEPT = "kept"
DARK = "dark"
FAILED = "failed"
WITHDRAWN = "withdrawn"

STATUSES = {
    UNPLANNED: "no plan has been made for this edition yet",
    KEPT: "kept in an open crate",
    DARK: "kept in a dark crate, for the archive alone",
    PLANNED: "will be kept",
    OVER_BUDGET: "the budget went to tracks with more value per byte",
    EXCLUDED: "the policy keeps nothing of its band",
    NOT_PERMITTED: "a statement on file forbids keeping it",
    UNAVAILABLE: "the source offers no usable audio for it",
    FAILED: "it was tried, and could not be kept",
    WITHDRAWN: "withdrawn: no longer given out",
}
