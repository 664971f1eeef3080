"""Starts the template of a plugin instance: python -I -B -u __main__.py CONTROL_FD

Python 2 has no -I: with -E -s in its place it puts the folder of this file on sys.path, which is taken off here.

What is imported here comes from the standard library, and before the bundle's root is on sys.path:
a bundle may carry a module of any name.
"""

import os
import sys


def main():
    package = os.path.dirname(os.path.abspath(__file__))
    if sys.path and sys.path[0] and os.path.abspath(sys.path[0]) == package:
        del sys.path[0]
    here = os.path.dirname(package)
    sys.path.insert(0, here)
    from keyward_worker import template

    sys.path.remove(here)
    template.serve(int(sys.argv[1]))


main()
