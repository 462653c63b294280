"""Commands of this program side by side: as processes here, or as jobs of Slurm."""
