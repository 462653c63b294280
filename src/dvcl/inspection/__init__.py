"""What an inspection of runs looks at, finds and writes."""
