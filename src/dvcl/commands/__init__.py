"""One function per command; each composes the parts, none computes anything itself."""
