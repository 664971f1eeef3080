"""The Python side of Keyward's plugin workers: standard library only, Python 3.6.7 or later."""
