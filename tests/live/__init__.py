"""Tests that meet the running kernel: known answers, laws, races. See README.md."""
