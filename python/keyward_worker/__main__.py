"""Starts the template of a plugin instance: python -I -B -u __main__.py CONTROL_FD

What is imported here comes from the standard library, and before the bundle's root is on sys.path:
a bundle may carry a module of any name.
"""

import os
import sys


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, here)
    from keyward_worker import template

    sys.path.remove(here)
    template.serve(int(sys.argv[1]))


main()
