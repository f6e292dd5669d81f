"""Stage two: one zero-shot method, one file."""
