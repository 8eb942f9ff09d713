"""An entry of the lists of behaviours."""
from typing import NamedTuple


class Behaviour(NamedTuple):
    # What the sources do, and the copy does not any more.
    name: str
    # Relative to the repository's root.
    file: str
    # Occurs once in the file; `replacement` leaves the behaviour out, and still
    # compiles without a warning.
    text: str
    replacement: str
    # A test program that builds without LibTorch, and those of its tests of
    # which at least one fails without the behaviour: "Suite.Name".
    program: str
    tests: tuple
