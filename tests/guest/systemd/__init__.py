"""Tests that need systemd as PID 1: vm/guest test --systemd runs them."""
