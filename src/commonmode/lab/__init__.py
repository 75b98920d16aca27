"""Pure simulators: markets with a known truth, populations consistent with what is observed."""
