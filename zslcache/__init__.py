"""zslcache: frozen vision encoders once, light zero-shot heads as often as you like."""

__version__ = "0.1.0"
