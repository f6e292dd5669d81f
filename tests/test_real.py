"""Real photographs through a real ImageNet encoder, by the commands that a user types."""

from __future__ import annotations

import pytest

from benchmarks.real_birds import probe


@pytest.mark.real
def test_a_linear_probe_on_real_birds_is_far_above_chance(real_data, tmp_path):
    assert probe(real_data, tmp_path) > 50  # ten classes, so chance is 10
