"""Tests that need a machine of their own: vm/guest test runs them."""
