"""The compiled way to draw: same bytes as the plain NumPy code beside it, several times as fast.

Needs the extra ``fast`` (numba). Nothing here is imported before the first scene is drawn; see
:mod:`rsground.datasets.scenes.compiled.switch`.
"""
