"""The feature stores: layout, writing, reading, loading and verifying."""
