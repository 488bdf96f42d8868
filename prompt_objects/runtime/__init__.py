"""Everything that a running turn can reach: context, events, budget, locks."""
