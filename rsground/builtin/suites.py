"""Suites that ship with rsground; the files are in ``benchmarks/suites``."""

from rsground.specs import SuiteSpec

SUITES: list[SuiteSpec] = [
    SuiteSpec(
        name="ceilings",
        summary="how good each form of writing regions could be with a perfect model",
        resource="rsground:ceilings.toml",
    ),
    SuiteSpec(
        name="slips",
        summary="how much one wrong digit in a hundred costs each form",
        resource="rsground:slips.toml",
    ),
]
