"""Walk-forward error panels: forecast, outcome, benchmark, failure, state."""
