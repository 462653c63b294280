"""Tables, figures and pages for results computed elsewhere."""
