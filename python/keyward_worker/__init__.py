"""The Python side of Keyward's plugin workers: standard library only, Python 3.6.7 or later, or 2.6.5 or later.

What differs between the two languages is in `python3` (with `outlet`, `pages` and `services`) and `python2`, under
the same names; the rest runs on both, in the syntax of 2.6. `python` is the one of the two that runs.
"""

import sys

if sys.version_info[0] == 2:
    from . import python2 as python
else:
    from . import python3 as python
