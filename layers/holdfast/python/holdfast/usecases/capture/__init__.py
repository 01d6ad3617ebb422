"""Points of what a provider keeps itself: its history and its snapshots."""
