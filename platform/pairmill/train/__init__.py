"""Training: prepared data, batch plan, objectives, the loop."""
