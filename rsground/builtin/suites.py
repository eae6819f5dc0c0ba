"""Suites that ship with rsground; the files are in ``benchmarks/suites``."""

from rsground.specs import SuiteSpec

SUITES: list[SuiteSpec] = [
    SuiteSpec(
        name="quick",
        summary="the tiny systems head to head on a few drawn scenes; under two minutes on two cores",
        resource="rsground:quick.toml",
    ),
    SuiteSpec(
        name="head_to_head",
        summary="the trained tiny systems on every grounding task, three seeds, beside blind baselines and ceilings",
        resource="rsground:head_to_head.toml",
    ),
    SuiteSpec(
        name="magcrop",
        summary="every tiny system with and without magcrop, images up to 4096 pixels",
        resource="rsground:magcrop.toml",
    ),
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
