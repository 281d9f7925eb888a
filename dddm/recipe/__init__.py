"""Recipes: TOML text → places of keys → merged tables → typed, checked, frozen objects.

Read `read` first.  None of this imports torch.
"""
