"""What things are for: the table behind expressions that name a purpose instead of a category."""

from __future__ import annotations

from typing import NamedTuple


class Affordance(NamedTuple):
    """One purpose.

    Attributes:
        serves: categories that serve it; every one that is present is a target.
        singular: wordings when exactly one thing serves.
        plural: wordings when several do.
        absent_ok: whether a picture without any of these certainly has nothing that serves (a lake could be swum in,
            but nobody plays tennis without a court).
        needs: categories that the annotation must be complete in before the purpose is asked for at all; empty: any
            one of ``serves``.
    """

    serves: frozenset[str]
    singular: tuple[str, ...]
    plural: tuple[str, ...]
    absent_ok: bool = True
    needs: frozenset[str] = frozenset()


def _purpose(
    *serves: str, one: tuple[str, ...], many: tuple[str, ...], absent_ok: bool = True, needs: tuple[str, ...] = ()
) -> Affordance:
    return Affordance(frozenset(serves), one, many, absent_ok, frozenset(needs))


AFFORDANCES: dict[str, Affordance] = {
    "land a helicopter": _purpose(
        "helipad",
        "open ground",
        one=("where could a helicopter land", "the only place where a helicopter could set down"),
        many=("where could a helicopter land", "all the places where a helicopter could set down"),
        needs=("open ground",),
    ),
    "land on a helipad": _purpose(
        "helipad",
        one=("the marked place made for a helicopter to land on", "where would a pilot find a marked landing spot"),
        many=("the marked places made for helicopters to land on", "where would pilots find marked landing spots"),
        absent_ok=False,
    ),
    "moor a ship": _purpose(
        "harbor",
        "pier",
        "dock",
        one=("where could a ship be moored", "the structure where a ship could tie up"),
        many=("where could ships be moored", "the structures where ships could tie up"),
    ),
    "play tennis": _purpose(
        "tennis court",
        one=("where could people play tennis", "the place where a match could be decided by a tie-break"),
        many=("where could several people play tennis", "all the places where a match could be decided by a tie-break"),
    ),
    "shoot hoops": _purpose(
        "basketball court",
        one=("where could people shoot hoops", "the place where a slam dunk could happen"),
        many=("where could several teams shoot hoops", "all the places where a slam dunk could happen"),
    ),
    "hit a home run": _purpose(
        "baseball diamond",
        one=("where could a batter hit a home run", "the place where a pitcher would throw"),
        many=("where could batters hit home runs", "all the places where a pitcher would throw"),
    ),
    "run laps": _purpose(
        "ground track field",
        one=("where could athletes run laps", "the place made for a 400 metre race"),
        many=("where could several athletics clubs run laps", "all the places made for a 400 metre race"),
    ),
    "store liquids": _purpose(
        "storage tank",
        one=("where would fuel or another liquid be stored", "the container that could hold tonnes of oil"),
        many=("where would fuel or other liquids be stored", "all the containers that could hold tonnes of oil"),
    ),
    "cross water or a road": _purpose(
        "bridge",
        "overpass",
        one=(
            "where could traffic get across without getting wet or stopping",
            "the structure built to carry a way across",
        ),
        many=(
            "where could traffic get across without getting wet or stopping",
            "all the structures that carry a way across",
        ),
    ),
    "fly": _purpose(
        "airplane",
        "helicopter",
        "aircraft",
        one=("what could take off and fly", "the thing here that is able to fly"),
        many=("which things could take off and fly", "everything here that is able to fly"),
    ),
    "sail": _purpose(
        "ship",
        "sailboat",
        "cargo ship",
        one=("what could sail out to sea", "the thing here that is able to float and sail"),
        many=("which things could sail out to sea", "everything here that is able to float and sail"),
    ),
    "drive": _purpose(
        "vehicle",
        "car",
        "van",
        "truck",
        "bus",
        "small vehicle",
        "large vehicle",
        one=("what could drive away on the road", "the thing here that needs a driver and wheels"),
        many=("which things could drive away on the road", "everything here that needs a driver and wheels"),
        absent_ok=False,
    ),
    "swim laps": _purpose(
        "swimming pool",
        one=("where could someone swim in clean water", "the place that needs chlorine and a lifeguard"),
        many=("where could people swim in clean water", "all the places that need chlorine and a lifeguard"),
        absent_ok=False,
    ),
    "play football": _purpose(
        "soccer field",
        one=("where could eleven play against eleven", "the place where a penalty kick could be taken"),
        many=("where could eleven play against eleven", "all the places where a penalty kick could be taken"),
        absent_ok=False,
    ),
    "refuel": _purpose(
        "gas station",
        "fuel station",
        one=("where could a driver refuel", "the place to fill up a car"),
        many=("where could drivers refuel", "all the places to fill up a car"),
        absent_ok=False,
    ),
    "park aircraft": _purpose(
        "hangar",
        one=("where could an aircraft be kept out of the rain", "the building made to shelter aircraft"),
        many=("where could aircraft be kept out of the rain", "all the buildings made to shelter aircraft"),
        absent_ok=False,
    ),
    "take off": _purpose(
        "runway",
        one=("where could an airplane take off", "the strip made for take-off and landing"),
        many=("where could airplanes take off", "all the strips made for take-off and landing"),
    ),
    "park cars": _purpose(
        "parking lot",
        one=("where could visitors leave their cars", "the place made for parking"),
        many=("where could visitors leave their cars", "all the places made for parking"),
        absent_ok=False,
    ),
    "drive in circles": _purpose(
        "roundabout",
        one=("where do drivers go round in a circle", "the place where traffic circulates round an island"),
        many=("where do drivers go round in a circle", "all the places where traffic circulates round an island"),
        absent_ok=False,
    ),
}
"""Purpose → who serves it and how to ask. A data set adds its own places through ``SceneGraph.facts["places"]``."""

PLACES: frozenset[str] = frozenset({"open ground"})
"""Categories of places: stretches of ground that no plain expression names, because nobody could count them."""
