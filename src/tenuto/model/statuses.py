"""What may be the status of a live track; each has exactly one, and the counts add up (design, law 6)."""

UNPLANNED = "unplanned"
PLANNED = "planned"
OVER_BUDGET = "over_budget"
EXCLUDED = "excluded"
NOT_PERMITTED = "not_permitted"
UNAVAILABLE = "unavailable"

STATUSES = {
    UNPLANNED: "no plan has been made for this edition yet",
    PLANNED: "will be kept",
    OVER_BUDGET: "the budget went to tracks with more value per byte",
    EXCLUDED: "the policy keeps nothing of its band",
    NOT_PERMITTED: "a statement on file forbids keeping it",
    UNAVAILABLE: "the source offers no usable audio for it",
}
