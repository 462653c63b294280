"""Pure functions, each one equation of a paper; no state, no randomness of their own."""
