"""Train the granularity classifier: ``python -m rsground_magcrop.train_classifier --out FOLDER``.

Questions come from every installed head (their own words over samples of the tasks whose form they name) and from our
wordings, filled with expressions of generated scenes. The test asks in wordings that training never saw, about
expressions of scenes that training never saw. ``--held-out HEAD`` trains once more without that head's questions and
tests on them; ``--data NAME=ROOT`` tests on questions that a published data set asks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground_magcrop.granularity import HIDDEN, Granularity, GranularityClassifier, TextEncoder
from rsground_magcrop.questions import Question, from_data, from_heads, from_parts, from_wordings, phrases
from rsground_magcrop.wordings import DEVELOPMENT, TRAINING, UNSEEN
from rsground_magcrop.words import WordEncoder, buckets

Floats = NDArray[np.float32]
LABELS = list(Granularity)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, test and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--encoder", type=Path, help="BERT folder (transformers, safetensors) instead of our encoder")
    parser.add_argument("--pooling", default="cls", help="of BERT: cls, mean or pooler")
    parser.add_argument("--held-out", nargs="*", default=[], help="heads to also train without, and test on")
    parser.add_argument("--scenes", type=int, default=150, help="scenes that expressions are taken from")
    parser.add_argument("--composed", type=int, default=1200, help="questions composed of parts, per task")
    parser.add_argument("--data", nargs="*", default=[], metavar="NAME=ROOT", help="data sets to test on as they ask")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--buckets", type=int, default=4096)
    parser.add_argument("--width", type=int, default=32, help="of our encoder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    began = time.perf_counter()
    trained, facts = train(args)
    facts["seconds"] = round(time.perf_counter() - began, 1)
    trained.save(args.out, training=facts)
    sys.stdout.write(json.dumps(facts, indent=2) + "\n")


def train(args: argparse.Namespace) -> tuple[GranularityClassifier, dict[str, Any]]:
    """A classifier, and how it was made and how well it does."""
    rng = np.random.default_rng(args.seed)
    seen, unseen = (phrases(split, args.scenes) for split in ("train", "test"))
    heads = from_heads(seen, rng)
    others = [*from_wordings(TRAINING, seen, rng, 30), *from_parts(seen, rng, args.composed)]
    questions = [*others, *heads]
    tests = {
        "training wordings, unseen expressions": from_wordings(TRAINING, unseen, rng, 10),
        "development wordings": from_wordings(DEVELOPMENT, unseen, rng, 20),
        "unseen wordings": from_wordings(UNSEEN, unseen, rng, 20),
        "heads, unseen expressions": from_heads(unseen, rng),
    }
    for given in args.data:
        name, _, root = given.partition("=")
        tests[f"{name}, its own questions"] = from_data(name, root, 2000)
    trained = fit(questions, args)
    scores = {name: accuracy(trained, asked) for name, asked in tests.items() if asked}
    for held in args.held_out:
        without = fit([*others, *(question for question in heads if question.source != held)], args)
        if asked := [question for question in tests["heads, unseen expressions"] if question.source == held]:
            scores[f"head {held}, trained without it"] = accuracy(without, asked)
    return trained, {
        "recipe": "python -m rsground_magcrop.train_classifier",
        "seed": args.seed,
        "steps": args.steps,
        "scenes": args.scenes,
        "questions": len(questions),
        "heads": sorted({question.source for question in heads}),
        "accuracy": scores,
    }


def fit(questions: Sequence[Question], args: argparse.Namespace) -> GranularityClassifier:
    """Our encoder with the layers, or the layers alone on BERT."""
    if args.encoder is None:
        return fit_words(questions, args)
    from rsground_magcrop.bert import BertEncoder

    return fit_layers(BertEncoder(args.encoder, args.pooling), questions, args)


def accuracy(trained: GranularityClassifier, questions: Sequence[Question]) -> dict[str, float | int]:
    """Share answered right, overall and per granularity, and how many were asked."""
    found = trained.probabilities([question.text for question in questions]).argmax(axis=1)
    right = np.asarray([LABELS.index(question.level) for question in questions])
    scores: dict[str, float | int] = {"all": round(float((found == right).mean()), 4)}
    for place, label in enumerate(LABELS):
        if (right == place).any():
            scores[str(label)] = round(float((found[right == place] == place).mean()), 4)
    return {**scores, "questions": len(questions)}


def fit_words(questions: Sequence[Question], args: argparse.Namespace) -> GranularityClassifier:
    """Our encoder and the layers, trained together.

    Rows start at zero, so that a word that training never met has no say; words are dropped at random, so that no
    single one decides.
    """
    import torch

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    ids = [np.asarray(buckets(question.text, args.buckets)) for question in questions]
    labels = torch.tensor([LABELS.index(question.level) for question in questions])
    weight = _balance(labels)
    table = torch.nn.Parameter(torch.zeros(args.buckets, args.width))
    met = np.unique(np.concatenate(ids))
    with torch.no_grad():
        table[met] = torch.randn(len(met), args.width) * 0.3
    salience = torch.nn.Parameter(torch.zeros(args.buckets))
    layers = _layers(args.width)
    optimiser = torch.optim.Adam([table, salience, *layers.parameters()], lr=2e-3)
    for step in range(args.steps):
        rows = rng.integers(0, len(ids), 128)
        bags = [_dropped(ids[row], rng) for row in rows]
        place = torch.from_numpy(np.repeat(np.arange(len(bags)), [len(bag) for bag in bags]))
        words = torch.from_numpy(np.concatenate(bags))
        share = salience[words].exp()
        pooled = torch.zeros(len(bags), args.width).index_add(0, place, table[words] * share[:, None])
        pooled = pooled / torch.zeros(len(bags)).index_add(0, place, share)[:, None]
        loss = torch.nn.functional.cross_entropy(layers(pooled), labels[rows], weight)
        loss = loss + 1e-4 * (table[words] ** 2).sum() / len(bags) + 1e-4 * (salience[words] ** 2).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - (step + 1) / args.steps)
    encoder = WordEncoder(table.detach().numpy(), salience.detach().numpy())
    return GranularityClassifier(encoder, _arrays(layers))


def fit_layers(encoder: TextEncoder, questions: Sequence[Question], args: argparse.Namespace) -> GranularityClassifier:
    """The layers alone, on a frozen encoder, as in the paper."""
    import torch

    torch.manual_seed(args.seed)
    states = torch.from_numpy(encoder.encode([question.text for question in questions]))
    labels = torch.tensor([LABELS.index(question.level) for question in questions])
    weight = _balance(labels)
    layers = _layers(states.shape[1])
    optimiser = torch.optim.Adam(layers.parameters(), lr=1e-3)
    draw = torch.Generator().manual_seed(args.seed)
    for _ in range(args.steps):
        rows = torch.randint(len(labels), (128,), generator=draw)
        loss = torch.nn.functional.cross_entropy(layers(states[rows]), labels[rows], weight)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    return GranularityClassifier(encoder, _arrays(layers))


def _layers(width: int) -> Any:
    from torch import nn

    first, second = HIDDEN
    return nn.Sequential(
        nn.Linear(width, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, len(LABELS))
    )


def _balance(labels: Any) -> Any:
    """Granularities count alike, whatever number of questions each has."""
    import torch

    counts = torch.bincount(labels, minlength=len(LABELS)).clamp(min=1)
    return len(labels) / (len(LABELS) * counts.float())


def _dropped(ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    kept = ids[rng.random(len(ids)) > 0.15]
    return kept if len(kept) else ids


def _arrays(layers: Any) -> list[tuple[Floats, Floats]]:
    return [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers if hasattr(layer, "weight")
    ]


if __name__ == "__main__":
    main()
