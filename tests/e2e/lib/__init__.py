"""Helpers of the end-to-end tests: services under test, waiting, foreign clients."""
