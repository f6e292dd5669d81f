"""What of this machine the process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may run on; where the system does not tell, all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
