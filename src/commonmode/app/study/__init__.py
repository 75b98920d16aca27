"""Studies: TOML in, pipeline run, evidence and results out."""
