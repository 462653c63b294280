"""Many runs: their plan, their records, and the tables, figures and page made from these."""
