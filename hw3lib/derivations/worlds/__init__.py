"""Worlds: what the symbols of each question mean, exactly and in float64."""
