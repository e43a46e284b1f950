"""What to keep within the budget: value, bands, tiers, drafts; the plan is a frozen value, decided before anything acts."""

from tenuto.selection.plan import Plan, load_newest, make_plan, policy_of

__all__ = ["Plan", "load_newest", "make_plan", "policy_of"]
