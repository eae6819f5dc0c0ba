"""How long a training is, and how fast it learns."""

from __future__ import annotations

from dataclasses import dataclass

from rsground.errors import SuiteError

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: updates of the weights.
        batch: images a batch and process, where ``images`` does not say.
        images: images a step, of all processes and accumulated batches together; 0 for what ``batch`` gives.
        accumulate: batches whose gradients are added up before an update.
        rate: highest learning rate; reached after ``warmup`` steps, then a cosine down to ``end`` of it.
        warmup: steps.
        end: share of the rate at the end.
        decay: weight decay of AdamW.
        clip: largest norm of the gradient.
        precision: of the forward pass; weights stay float32.
        save_every: steps between checkpoints; the last three are kept.
        check_every: steps between validations; 0 for none but the last.
        workers: processes that make batches.
    """

    steps: int
    batch: int = 16
    images: int = 0
    accumulate: int = 1
    rate: float = 1e-3
    warmup: int = 100
    end: float = 0.02
    decay: float = 0.02
    clip: float = 1.0
    precision: str = "float32"
    save_every: int = 200
    check_every: int = 0
    workers: int = 0

    def batch_of(self, processes: int) -> int:
        """Images a batch of each of so many processes.

        Raises:
            SuiteError: ``images`` cannot be shared out evenly.
        """
        if not self.images:
            return self.batch
        batch, left = divmod(self.images, processes * self.accumulate)
        if left:
            parts = f"{processes} process{'es' if processes > 1 else ''}"
            parts += f" of {self.accumulate} batches each" if self.accumulate > 1 else ""
            raise SuiteError(
                f"schedule.images = {self.images} cannot be shared out evenly among {parts}; train with a number of "
                "processes that divides it, or say another"
            )
        return batch

    def step_images(self, processes: int) -> int:
        """Images a step, of all of so many processes together.

        Raises:
            SuiteError: ``images`` cannot be shared out evenly.
        """
        return self.batch_of(processes) * self.accumulate * processes
