"""Token compression: the coarsest map as a handful of visual tokens for the language model."""

from __future__ import annotations

from torch import Tensor, nn

from rsground.errors import ShapeError


class CompressionConnector(nn.Module):
    """Two strided convolutions, each layer-normed over channels *and* positions, and a 1x1 projection.

    SegEarth-R1's connector as released: no activation anywhere, and a last projection that the paper's equation does
    not show. The norms' parameters cover positions, so one input size is built in.

    Args:
        width: channels of the stride-32 map.
        hidden: width of the language model.
        grid: side of the stride-32 map, a multiple of 4 (32 at 1024 px).
    """

    def __init__(self, width: int = 1024, hidden: int = 2048, grid: int = 32) -> None:
        super().__init__()
        if grid < 4 or grid % 4:
            raise ShapeError(f"the connector's grid must be a positive multiple of 4, got {grid}")
        self.grid = grid
        self.proj1 = nn.Conv2d(width, hidden, 3, 2, 1)
        self.norm1 = nn.LayerNorm([hidden, grid // 2, grid // 2])
        self.proj2 = nn.Conv2d(hidden, hidden, 3, 2, 1)
        self.norm2 = nn.LayerNorm([hidden, grid // 4, grid // 4])
        self.fc = nn.Conv2d(hidden, hidden, 1)

    @property
    def tokens(self) -> int:
        """Visual tokens per image."""
        return (self.grid // 4) ** 2

    def forward(self, coarsest: Tensor) -> Tensor:
        """``(B, C, grid, grid)`` to ``(B, tokens, hidden)``, row by row.

        Raises:
            ShapeError: another grid than the one that was built in.
        """
        if tuple(coarsest.shape[-2:]) != (self.grid, self.grid):
            raise ShapeError(
                f"the connector was built for a {self.grid} x {self.grid} map (images of {32 * self.grid} px), "
                f"got {tuple(coarsest.shape[-2:])}; frame the image to that size first"
            )
        mixed: Tensor = self.fc(self.norm2(self.proj2(self.norm1(self.proj1(coarsest)))))
        return mixed.flatten(2).transpose(1, 2)
