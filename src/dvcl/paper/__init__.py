"""What the DVCL paper reports: the rows of its tables, and the numbers printed in them."""
