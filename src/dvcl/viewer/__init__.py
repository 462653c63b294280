"""A viewer in a page: scans and organs to scroll through, from a file, without a server."""
