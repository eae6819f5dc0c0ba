"""Heads that ship in the core."""

from rsground.specs import HeadSpec

HEADS: list[HeadSpec] = [
    HeadSpec(
        name="codec",
        target="rsground.builtin.codec_head:CodecHead",
        summary="writes and reads regions through any registered codec (option codec)",
        tasks=("hbb", "obb", "mask", "change"),
    )
]
