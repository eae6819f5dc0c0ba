"""The JSON forms of :mod:`rsground.records`, under the name this room knows them by."""

from rsground.records import (
    USAGE,
    dumps,
    finite,
    prediction_from_json,
    prediction_to_json,
    region_from_json,
    region_to_json,
    sample_from_json,
    sample_to_json,
)

__all__ = [
    "USAGE",
    "dumps",
    "finite",
    "prediction_from_json",
    "prediction_to_json",
    "region_from_json",
    "region_to_json",
    "sample_from_json",
    "sample_to_json",
]
