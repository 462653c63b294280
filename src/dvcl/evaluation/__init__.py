"""How good predictions are: overlap of organs, case by case, and summaries over cases."""
