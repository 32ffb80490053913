"""What pyproject.toml cannot say: the C core is built by cffi, the BPF skeleton by bpf/build."""

import subprocess
from pathlib import Path

from setuptools import setup

subprocess.run([Path(__file__).resolve().parent / "bpf" / "build"], check=True)
setup(cffi_modules=["collector/zonerss/_core/build.py:core"])
