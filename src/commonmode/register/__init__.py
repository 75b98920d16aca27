"""Models, their cards and who runs what; the common-cause graph C1."""
