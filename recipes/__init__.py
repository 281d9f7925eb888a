"""The recipes that come with dddm, as package data."""
