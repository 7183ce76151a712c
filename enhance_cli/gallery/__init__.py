"""The gallery: a web page for reviewing and comparing the photos of a run, and carrying out the decisions."""
