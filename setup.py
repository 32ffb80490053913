"""What pyproject.toml cannot say: the C core is built by cffi, the BPF objects by clang (where there is one)."""

from setuptools import setup

setup(cffi_modules=["collector/_core/build.py:census"])
