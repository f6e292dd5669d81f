"""Stage one: frozen encoders, decoding and the extraction loop."""
