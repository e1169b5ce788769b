"""The transition graph made from a plan. Decides nothing."""
