"""Compiles modules in place, with mypyc: `compile_setup.py GROUP LEVEL MODULE...`, in the tree that they lie in.

Run by compile_core.py as a program of its own: mypyc and setuptools look at the current folder, and end the program.
"""

import sys

from mypyc.build import mypycify
from setuptools import setup


def main() -> None:
    """Leave a library beside each module, and the one that they share in the current folder."""
    group, level, *modules = sys.argv[1:]
    options = ["--config-file=", "--ignore-missing-imports", "--cache-dir=.mypy_cache"]
    extensions = mypycify([*options, *modules], opt_level=level, group_name=group)
    for extension in extensions:
        # a product and a sum in one step would be rounded once instead of twice: other results than the plain modules'
        extension.extra_compile_args.append("-ffp-contract=off")
    setup(name=group, packages=[], py_modules=[], ext_modules=extensions, script_args=["build_ext", "--inplace"])


if __name__ == "__main__":
    main()
