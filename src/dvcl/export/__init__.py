"""What a run gives to other programs: its network as a file, and how scans are brought to it."""
