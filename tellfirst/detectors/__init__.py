"""Detectors: rows of operational sources in, findings out; never a write."""
