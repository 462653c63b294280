"""What this bundle needs beyond MONAI's own transforms; it runs without dvcl."""
