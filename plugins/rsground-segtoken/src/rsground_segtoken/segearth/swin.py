"""Swin transformer as a hierarchical encoder: four maps at strides 4, 8, 16 and 32, each layer-normed.

Liu et al., "Swin Transformer", ICCV 2021, in the form dense prediction uses it: any input size, maps padded to whole
windows, one norm per output. Parameter names are those of the original release, so its checkpoints load as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsground.errors import ShapeError


@dataclass(frozen=True, slots=True)
class SwinConfig:
    """Sizes of a Swin encoder.

    Attributes:
        embed: channels at stride 4; they double at each further stage.
        depths: blocks per stage; every second block shifts its windows.
        heads: attention heads per stage.
        window: side of a window, in cells of the stage's map.
        mlp_ratio: hidden width of a block's MLP over its channels.
        drop_path: stochastic depth of the last block; earlier ones rise to it linearly.
    """

    embed: int = 128
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 12
    mlp_ratio: float = 4.0
    drop_path: float = 0.3

    def __post_init__(self) -> None:
        if len(self.depths) != 4 or len(self.heads) != 4:
            raise ShapeError(f"a Swin encoder has four stages, got depths {self.depths} and heads {self.heads}")
        for width, heads in zip(self.channels, self.heads, strict=True):
            if width % heads:
                raise ShapeError(f"{width} Swin channels must divide into {heads} heads")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the four maps, stride 4 first."""
        return tuple(self.embed * 2**stage for stage in range(4))


SWINS = {
    "swin-b": SwinConfig(),
    "swin-small": SwinConfig(embed=32, depths=(1, 1, 2, 1), heads=(1, 2, 4, 8), window=8, drop_path=0.0),
}
"""Configurations by name: the published model's, and one that trains on a CPU."""


class DropPath(nn.Module):
    """Drops a residual branch per sample in training, and scales the kept ones up (stochastic depth)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """``(B, ...)`` to the same shape."""
        if not self.training or self.rate == 0.0:
            return branch
        keep = 1.0 - self.rate
        kept = branch.new_empty(branch.shape[0], *(1,) * (branch.ndim - 1)).bernoulli_(keep)
        return branch * kept / keep


class WindowAttention(nn.Module):
    """Self-attention inside windows, with a learned bias per relative position and head."""

    relative_position_index: Tensor

    def __init__(self, width: int, window: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", _relative_positions(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Windows ``(B*N, A, C)`` with an additive mask ``(N, A, A)``, to the same shape."""
        count, area, width = windows.shape
        q, k, v = self.qkv(windows).reshape(count, area, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(count // len(mask), 1, 1, 1)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        mixed: Tensor = self.proj(found.transpose(1, 2).reshape(count, area, width))
        return mixed


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., C)`` to the same shape."""
        mixed: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return mixed


class Block(nn.Module):
    """One Swin block: window attention and MLP, both pre-normed and residual."""

    def __init__(self, width: int, heads: int, config: SwinConfig, shift: int, drop_path: float) -> None:
        super().__init__()
        self.window, self.shift = config.window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, config.window, heads)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(width * config.mlp_ratio))

    def forward(self, grid: Tensor, mask: Tensor | None) -> Tensor:
        """A grid ``(B, H, W, C)`` to the same shape; ``mask`` is for shifted windows on the padded grid."""
        grid = grid + self.drop_path(self._attended(self.norm1(grid), mask if self.shift else None))
        mixed: Tensor = grid + self.drop_path(self.mlp(self.norm2(grid)))
        return mixed

    def _attended(self, grid: Tensor, mask: Tensor | None) -> Tensor:
        _, height, width, _ = grid.shape
        padded = functional.pad(grid, (0, 0, 0, -width % self.window, 0, -height % self.window))
        if self.shift:
            padded = padded.roll((-self.shift, -self.shift), (1, 2))
        found = _merged(self.attn(_windows(padded, self.window), mask), self.window, padded.shape)
        if self.shift:
            found = found.roll((self.shift, self.shift), (1, 2))
        return found[:, :height, :width]


class PatchMerging(nn.Module):
    """Two by two cells to one of twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, grid: Tensor) -> Tensor:
        """``(B, H, W, C)`` to ``(B, ceil(H/2), ceil(W/2), 2C)``."""
        grid = functional.pad(grid, (0, 0, 0, grid.shape[2] % 2, 0, grid.shape[1] % 2))
        cells = [grid[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(cells, -1)))
        return merged


class Stage(nn.Module):
    """Blocks of one resolution, and the way down to the next."""

    def __init__(self, index: int, config: SwinConfig) -> None:
        super().__init__()
        width, depth, before = config.channels[index], config.depths[index], sum(config.depths[:index])
        total = max(sum(config.depths) - 1, 1)
        self.window = config.window
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.heads[index],
                config,
                shift=config.window // 2 if place % 2 else 0,
                drop_path=config.drop_path * (before + place) / total,
            )
            for place in range(depth)
        )
        self.downsample = PatchMerging(width) if index < 3 else None

    def forward(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, H, W, C)`` to the stage's output of that shape, and what the next stage starts from."""
        mask = _shift_mask(grid, self.window) if len(self.blocks) > 1 else None
        for block in self.blocks:
            grid = block(grid, mask)
        return grid, grid if self.downsample is None else self.downsample(grid)


class PatchEmbed(nn.Module):
    """Four by four pixels to one normed cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, 4, 4)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(B, ceil(H/4), ceil(W/4), C)``."""
        height, width = pixels.shape[-2:]
        grid: Tensor = self.norm(self.proj(functional.pad(pixels, (0, -width % 4, 0, -height % 4))).permute(0, 2, 3, 1))
        return grid


class Swin(nn.Module):
    """The hierarchical encoder.

    Args:
        config: its sizes; Swin-B by default.
    """

    def __init__(self, config: SwinConfig | None = None) -> None:
        super().__init__()
        self.config = config or SwinConfig()
        self.patch_embed = PatchEmbed(self.config.embed)
        self.layers = nn.ModuleList(Stage(index, self.config) for index in range(4))
        for index, width in enumerate(self.config.channels):
            self.add_module(f"norm{index}", nn.LayerNorm(width))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Normalised pixels ``(B, 3, H, W)`` to maps ``(B, C_i, H/s, W/s)`` for s = 4, 8, 16, 32."""
        grid, maps = self.patch_embed(pixels), []
        for index, layer in enumerate(self.layers):
            out, grid = layer(grid)
            maps.append(self.get_submodule(f"norm{index}")(out).permute(0, 3, 1, 2).contiguous())
        return maps


def _relative_positions(window: int) -> Tensor:
    """``(window**2, window**2)`` int64: which row of the bias table a pair of cells uses."""
    rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    down = rows.flatten()[:, None] - rows.flatten()[None] + window - 1
    across = columns.flatten()[:, None] - columns.flatten()[None] + window - 1
    return down * (2 * window - 1) + across


def _windows(grid: Tensor, window: int) -> Tensor:
    batch, height, width, channels = grid.shape
    tiled = grid.reshape(batch, height // window, window, width // window, window, channels)
    return tiled.transpose(2, 3).reshape(-1, window * window, channels)


def _merged(windows: Tensor, window: int, shape: torch.Size) -> Tensor:
    batch, height, width, channels = shape
    tiled = windows.reshape(batch, height // window, width // window, window, window, channels)
    return tiled.transpose(2, 3).reshape(shape)


def _shift_mask(grid: Tensor, window: int) -> Tensor:
    """Additive mask ``(N, A, A)``: cells that only the cyclic shift brought together do not see each other."""
    regions = []
    for size in grid.shape[1:3]:
        place = torch.arange(size + -size % window, device=grid.device)
        regions.append((place >= len(place) - window).long() + (place >= len(place) - window // 2).long())
    region = regions[0][:, None] * 3 + regions[1][None]
    cells = _windows(region[None, :, :, None], window)[..., 0]
    apart = cells[:, :, None] != cells[:, None, :]
    return torch.zeros(apart.shape, dtype=grid.dtype, device=grid.device).masked_fill(apart, -100.0)
