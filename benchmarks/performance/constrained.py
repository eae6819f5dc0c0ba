"""Answers a second with and without a grammar, at equal answers: text masks from a small Llama.

Both sides run the same decode loop over the same prompts. A trained model is stood in for by a bias: a wrapper adds a
large number to the logit of the next token of a fixed answer (a random blob on the grid, cut as the tokenizer cuts it),
by the number of answer tokens the row has been fed, so that both sides say the same text; this is checked. With the
grammar, the tokens it forces are fed several at a time; without, each costs a pass. In the vocabulary every integer is
one token, and so are the separators, as in a tokenizer trained on such answers.

Printed: answers a second of processor time (one thread unless told otherwise) on both sides, best of several rounds
taken in turn in one process, their ratio, the share of forced tokens, passes a side; then what the automaton alone
costs, on this vocabulary and on one of 150,000 tokens.

With ``--system``, whole systems are compared instead, with and without the grammar, on questions about drawn scenes:
samples a second, their ratio, answers that could not be read, scores, and how many answers are equal.

    python benchmarks/performance/constrained.py --system tiny/geoground --system tiny/box-mask --count 32
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
import transformers as hf
from constrained_systems import lines
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from rsground.codecs import TextMask
from rsground.models.constrain import TokenGrammar
from rsground.models.decoding import Decoded, Row, decode
from rsground.models.vocabulary import Vocabulary

PROMPT, SIDE = 64, 512


class Favouring(torch.nn.Module):
    """A model whose logits favour given answers, whatever its weights.

    Args:
        model: a causal model; its passes are made and paid for.
        answers: tokens of each row's answer, with the end token.
    """

    def __init__(self, model: Any, answers: list[list[int]]) -> None:
        super().__init__()
        self.inner, self.config, self.passes = model, model.config, 0
        longest = max(map(len, answers))
        self.table = torch.tensor([each + each[-1:] * (longest + 1 - len(each)) for each in answers])
        self.rows = torch.arange(len(answers))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: Any,
        use_cache: bool = True,
        logits_to_keep: int = 0,
    ) -> Any:
        """As the model's own; the first prompt token says which row it is."""
        found = self.inner(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
        )
        self.passes += 1
        said = position_ids[:, -1] - (PROMPT - 1)
        wanted = self.table[self.rows, said]
        found.logits[torch.arange(len(wanted)), -1, wanted] += 1e4
        return found


def tokenizer(extra: int = 0) -> Any:
    """A word list of integers, separators and characters, and ``extra`` words nobody needs."""
    words = ["<pad>", "</s>", "<unk>", *map(str, range(1001)), *map(chr, range(32, 127)), "\n"]
    words += [" *", "| ", "\n ", "<seg>", "</seg>"]
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz0123456789 ,.*|<>"))
    words += ["".join(letters[rng.integers(len(letters), size=rng.integers(2, 12))]) for _ in range(extra)]
    table = {word: at for at, word in enumerate(dict.fromkeys(words))}
    fast = Tokenizer(models.WordLevel(table, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Split(Regex(r"</?seg>|[0-9]+| \*|\| |\n |.|\n"), "isolated")
    fast.decoder = decoders.Fuse()
    return hf.PreTrainedTokenizerFast(tokenizer_object=fast, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def answers(codec: TextMask, count: int, seed: int) -> list[str]:
    """Text masks of random ellipses."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    found = []
    for _ in range(count):
        x, y = rng.uniform(0, SIDE, 2)
        a, b = np.exp(rng.uniform(np.log(10), np.log(150), 2))
        found.append(codec.encode(((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 < 1))
    return found


def small_llama(vocabulary: int, hidden: int, layers: int) -> Any:
    """A Llama of random weights."""
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=4096,
    )
    return hf.LlamaForCausalLM(config).eval()


def timed(model: Favouring, grammar: TokenGrammar | None, vocabulary: Vocabulary, most: int) -> tuple[float, Any]:
    """Seconds of processor time, and the answers, of one batch."""
    model.passes = 0
    count = len(model.rows)
    inputs = {"input_ids": torch.full((count, PROMPT), 5), "attention_mask": torch.ones(count, PROMPT).long()}
    began = time.process_time()

    def advance(given: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
        model.rows = rows
        return given

    places = {"position_ids": torch.arange(PROMPT).expand(count, -1)}
    asked = [Row(grammar, most)] * count
    model.rows = torch.arange(count)
    found = decode(model, {**inputs, **places}, asked, vocabulary, advance=advance)
    spent = time.process_time() - began
    model.rows = torch.arange(count)
    return spent, found


def automaton_alone(codec: TextMask, texts: list[str], extra: int) -> None:
    """What the automaton costs without a model."""
    words = tokenizer(extra)
    began = time.process_time()
    vocabulary = Vocabulary.of(words)
    read = time.process_time() - began
    grammar = TokenGrammar(codec.grammar((SIDE, SIDE)), vocabulary)
    for name in ("first answer", "next answers"):
        chosen = texts[:1] if name == "first answer" else texts[1:]
        began = time.process_time()
        count = 0
        for text in chosen:
            state = grammar.start()
            for token in vocabulary.canonical(text.encode()) or ():
                grammar.allowed(state)
                after = grammar.advance(state, token)
                assert after is not None
                state, count = after, count + 1
        each = (time.process_time() - began) / max(count, 1)
        print(
            f"automaton, {len(vocabulary.texts):>6} tokens (read in {read:.2f} s), {name}: {1e6 * each:.0f} us a token"
        )


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4, help="prompts at once (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, best of (default %(default)s)")
    parser.add_argument("--resolution", type=int, default=32, help="cells a side (default %(default)s)")
    parser.add_argument("--hidden", type=int, default=192, help="width of the model (default %(default)s)")
    parser.add_argument("--layers", type=int, default=4, help="layers of the model (default %(default)s)")
    parser.add_argument("--large", type=int, default=150_000, help="tokens of the large vocabulary, 0 for none")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default %(default)s)")
    parser.add_argument("--system", action="append", default=[], help="registered system or folder; may be repeated")
    parser.add_argument("--tasks", default="hbb,obb,mask", help="what systems are asked (default %(default)s)")
    parser.add_argument("--count", type=int, default=32, help="questions a task for systems (default %(default)s)")
    parser.add_argument("--device", default="cpu", help="of systems (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for system in options.system:
        for line in lines(system, options.tasks.split(","), options.count, options.batch, options.device):
            print(line, flush=True)
    if not options.system:
        stand_in(options)


def stand_in(options: argparse.Namespace) -> None:
    """The model that is told its answers."""
    codec = TextMask(options.resolution)
    words = tokenizer()
    vocabulary = Vocabulary.of(words)
    texts = answers(codec, options.batch, 0)
    ids = [[*(vocabulary.canonical(text.encode()) or ()), words.eos_token_id] for text in texts]
    model = Favouring(small_llama(len(words), options.hidden, options.layers), ids)
    most = max(map(len, ids)) + 400
    grammar = TokenGrammar(codec.grammar((SIDE, SIDE)), vocabulary)
    best: dict[str, float] = {}
    passes: dict[str, int] = {}
    said: list[Decoded] = []
    for _ in range(options.rounds):
        for name, bound in (("free", None), ("constrained", grammar)):
            spent, said = timed(model, bound, vocabulary, most)
            assert [each.text for each in said] == texts, f"{name}: another answer than the one favoured"
            best[name] = min(best.get(name, float("inf")), spent)
            passes[name] = model.passes
    tokens, forced = sum(len(each.token_ids) for each in said), sum(each.forced for each in said)
    print(f"{options.batch} answers of {tokens / options.batch:.0f} tokens on average, all equal on both sides")
    for name, spent in best.items():
        print(f"{name:>12}: {options.batch / spent:7.2f} answers/s, {passes[name]} passes")
    print(f"ratio {best['free'] / best['constrained']:.2f}, forced tokens {100 * forced / tokens:.0f} %")
    automaton_alone(codec, texts, 0)
    if options.large:
        automaton_alone(codec, texts, options.large)


if __name__ == "__main__":
    main()
