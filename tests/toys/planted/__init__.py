"""Toy components that keep every promise, and copies of them with one mistake each."""
