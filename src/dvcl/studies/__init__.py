"""A study's folder and its runs on disk: what commands open, and what a run was tested on."""
