"""The verbs: what the commands do, built from the other parts."""
