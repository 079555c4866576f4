"""Dagster's side of the house: when and how the stages run. What they do is in the stage packages."""
