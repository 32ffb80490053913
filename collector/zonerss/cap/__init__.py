"""Caps on what zones really use of memory: what to do (pure), the hands that do it, and what is said of it."""
