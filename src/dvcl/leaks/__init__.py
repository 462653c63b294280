"""Leaks: the same scan, or the same patient, where different ones are needed."""
