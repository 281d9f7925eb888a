"""Packed images: stored once, read by index without decoding."""
