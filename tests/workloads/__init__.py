"""Programs that make known memory, and how to build and to drive them."""
