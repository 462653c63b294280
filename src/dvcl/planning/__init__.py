"""From scans and machine to a proposed recipe, every value with its reason."""
