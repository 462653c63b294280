"""From prepared cases to batches; all randomness of the data lives here."""
