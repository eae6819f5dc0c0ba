"""Images by reference to ``(H, W, 3)`` uint8 RGB, whatever they were stored as.

What becomes of what a file may hold:

- gray: three equal channels. Palette: its colours. CMYK, YCbCr, LAB: converted to RGB.
- alpha: dropped, not composed; what lies under transparent pixels is what the sensor saw.
- 16-bit unsigned: ``stretch="full"`` (default) maps 0 ... 65535 linearly to 0 ... 255 (value / 257, rounded; of a
  16-bit colour PNG Pillow keeps the high byte); ``stretch="minmax"`` maps the darkest ... brightest value of the
  pixels read, over all bands at once, for sensors that use 12 of the 16 bits. Other integers and floats have no
  full range: always ``minmax``. NaN and infinities become 0 and do not count.
- more than three bands: the first three. Two bands: the first one, as gray.
- several frames or pages: the first. EXIF orientation is not applied: annotations count pixels as stored.

Pillow reads; what it cannot identify and is a TIFF (many bands, float or 16-bit colour), and windows of scenes too
large to decode whole, go to rasterio (extra ``geo``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rsground.errors import ImageError, MissingExtraError, ShapeError
from rsground.types import ImageRef, Size

if TYPE_CHECKING:
    from PIL import Image

Stretch = Literal["full", "minmax"]
Pixels = NDArray[np.uint8]
Window = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in whole pixels, half-open."""

MAX_PIXELS = 1 << 28
"""Pixels decoded at most unless a caller says otherwise (16384 x 16384, 0.8 GB): the decompression-bomb limit."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OPENING = threading.Lock()


def read_image(ref: ImageRef, *, stretch: Stretch = "full", max_pixels: int = MAX_PIXELS) -> Pixels:
    """The pixels of an image, drawn or read: ``(H, W, 3)`` uint8 RGB of exactly ``ref.size``.

    Args:
        ref: where the image is, and its size as the annotations count it.
        stretch: how more than 8 bits become 8; see the module's docstring.
        max_pixels: larger images are refused before anything of them is decoded.

    Raises:
        ImageError: the file is missing, no image, cut off, too large, or of another size than ``ref`` says.
        MissingExtraError: only rasterio reads this file, and it is not installed.
    """
    if ref.render is not None:
        return _rendered(ref)
    return _read(ref, None, stretch, max_pixels)


def read_window(
    ref: ImageRef, x1: int, y1: int, x2: int, y2: int, *, stretch: Stretch = "full", max_pixels: int = MAX_PIXELS
) -> Pixels:
    """The pixels of columns x1 ... x2-1 and rows y1 ... y2-1: ``(y2-y1, x2-x1, 3)`` uint8 RGB.

    A scene of more than ``max_pixels`` is not decoded whole: rasterio reads the window alone.

    Raises:
        ImageError: as :func:`read_image`, or the window is empty or not inside the image.
        MissingExtraError: only rasterio can do it, and it is not installed.
    """
    if not (0 <= x1 < x2 <= ref.width and 0 <= y1 < y2 <= ref.height):
        raise ImageError(
            f"a window must be inside the image of {ref.width}x{ref.height} pixels and not empty, "
            f"got x {x1}..{x2}, y {y1}..{y2}",
            ref.uri,
        )
    if (x2 - x1) * (y2 - y1) > max_pixels:
        raise _too_large(ref.uri, (y2 - y1, x2 - x1), max_pixels, "read a smaller window")
    if ref.render is not None:
        return _rendered(ref)[y1:y2, x1:x2]
    return _read(ref, (x1, y1, x2, y2), stretch, max_pixels)


def image_size(path: str | Path) -> Size:
    """(height, width) as stored, from the header alone.

    Raises:
        ImageError: the file is missing or no image.
        MissingExtraError: only rasterio reads this file, and it is not installed.
    """
    with _opened(path) as image:
        if image is not None:
            return (int(image.height), int(image.width))
    with _dataset(path) as dataset:
        return (int(dataset.height), int(dataset.width))


def save_png(path: str | Path, pixels: NDArray[Any]) -> None:
    """Write ``(H, W)`` bool (as 0 and 255), or ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` uint8; makes the folder.

    Raises:
        ShapeError: any other array.
    """
    from PIL import Image

    array = np.asarray(pixels)
    if array.dtype == np.bool_ and array.ndim == 2:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8 or (array.ndim, *array.shape[2:]) not in ((2,), (3, 3), (3, 4)):
        raise ShapeError(f"a PNG takes bool (H, W) or uint8 (H, W[, 3 or 4]), got {array.dtype} of {array.shape}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(array)).save(path, format="PNG")


def _rendered(ref: ImageRef) -> Pixels:
    assert ref.render is not None
    pixels = np.asarray(ref.render())
    if pixels.shape != (*ref.size, 3) or pixels.dtype != np.uint8:
        raise ImageError(f"must be drawn as uint8 {(*ref.size, 3)}, got {pixels.dtype} {pixels.shape}", ref.uri)
    return pixels


def _read(ref: ImageRef, window: Window | None, stretch: Stretch, max_pixels: int) -> Pixels:
    """Read a file, whole or a window of it, with the reader that can."""
    if stretch not in get_args(Stretch):
        raise ImageError(f"stretch is one of {', '.join(get_args(Stretch))}, got {stretch!r}", ref.uri)
    with _opened(ref.uri) as image:
        if image is not None:
            _check_size(ref, (image.height, image.width))
            if image.height * image.width <= max_pixels:
                return _cut(_from_pillow(image, ref.uri, stretch, window), window)
            if window is None:
                raise _too_large(ref.uri, ref.size, max_pixels, "read windows of it, or raise max_pixels")
    with _dataset(ref.uri) as dataset:
        _check_size(ref, (dataset.height, dataset.width))
        if window is None and dataset.height * dataset.width > max_pixels:
            raise _too_large(ref.uri, ref.size, max_pixels, "read windows of it, or raise max_pixels")
        return _from_rasterio(dataset, ref.uri, stretch, window)


def _check_size(ref: ImageRef, size: Size) -> None:
    if ref.size != size:
        raise ImageError(
            f"the annotations say {ref.width}x{ref.height} pixels, the file has {size[1]}x{size[0]} "
            f"(as stored, EXIF orientation not applied): it is another image, or another version of it",
            ref.uri,
        )


def _too_large(path: object, size: Size, limit: int, way_out: str) -> ImageError:
    pixels = size[0] * size[1]
    return ImageError(
        f"{size[1]}x{size[0]} = {pixels / 1e6:.0f} million pixels, more than the limit of {limit / 1e6:.0f}; {way_out}",
        path,
    )


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image | None]:
    """The file opened by Pillow, header read; None for a TIFF that Pillow has no mode for.

    Pillow's own limit is a process-wide number that refuses while opening; ours is checked before decoding, so
    Pillow's is lifted for the moment of opening.
    """
    from PIL import Image, UnidentifiedImageError

    file = Path(path)
    image: Image.Image | None = None
    try:
        with _OPENING:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(file)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except FileNotFoundError:
        raise ImageError("no such image file", file) from None
    except UnidentifiedImageError:
        if not _is_tiff(file):
            raise ImageError(
                f"no image that can be read ({file.stat().st_size:,} bytes, starts with {_head(file)!r})", file
            ) from None
    except Exception as reason:
        raise ImageError(f"cannot be opened as an image: {_say(reason)}", file) from reason
    try:
        yield image
    finally:
        if image is not None:
            image.close()


def _is_tiff(file: Path) -> bool:
    return _head(file)[:4] in _TIFF


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(8)


def _say(reason: BaseException) -> str:
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__


def _cut(pixels: Pixels, window: Window | None) -> Pixels:
    if window is None:
        return pixels
    x1, y1, x2, y2 = window
    return np.ascontiguousarray(pixels[y1:y2, x1:x2])


def _from_pillow(image: Image.Image, path: str, stretch: Stretch, window: Window | None) -> Pixels:
    """The whole first frame as RGB; a ``minmax`` stretch looks at ``window`` only."""
    try:
        image.load()
    except Exception as reason:
        raise ImageError(
            f"cut off or damaged: {_rows_read(image)} of {image.height} rows could be decoded from "
            f"{Path(path).stat().st_size:,} bytes ({_say(reason)})",
            path,
        ) from reason
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _gray(_to_bytes(np.asarray(image).astype(np.uint16), stretch, window))
    if image.mode in ("I", "F"):
        return _gray(_to_bytes(np.asarray(image), stretch, window))
    if image.mode in ("P", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        return np.ascontiguousarray(np.asarray(image)[..., :3])
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _rows_read(image: Image.Image) -> str:
    """How many rows hold anything after decoding stopped; the rest is still zero."""
    try:
        rows = np.flatnonzero(np.asarray(image._new(image.im)).reshape(image.height, -1).any(axis=1))
    except Exception:  # the decoder stopped before there were pixels; this only words an error message
        return "0"
    return f"about {int(rows[-1]) + 1}" if len(rows) else "0"


def _gray(values: Pixels) -> Pixels:
    return np.repeat(values[..., None], 3, axis=2)


def _to_bytes(values: NDArray[Any], stretch: Stretch, window: Window | None = None) -> Pixels:
    """Values ``(H, W[, C])`` of any real type as uint8; see the module's docstring."""
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8)
    if values.dtype == np.uint16 and stretch == "full":
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    x1, y1, x2, y2 = window or (0, 0, values.shape[1], values.shape[0])
    seen = values[y1:y2, x1:x2]
    finite = seen[np.isfinite(seen)].astype(np.float64)
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    with np.errstate(all="ignore"):
        scaled = (values.astype(np.float64) - low) / (high - low) * 255.0
    scaled = np.where(np.isfinite(values), np.clip(scaled, 0.0, 255.0), 0.0)
    return np.asarray(np.floor(scaled + 0.5), np.uint8)


@contextmanager
def _dataset(path: str | Path) -> Iterator[Any]:
    """The file opened by rasterio, with damaged data an error and missing georeferences none."""
    try:
        import rasterio
    except ImportError:
        feature = f"reading {path} (too large, or a TIFF that Pillow has no mode for)"
        raise MissingExtraError(feature, "geo", "rasterio") from None
    import warnings

    try:
        with warnings.catch_warnings(), rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING="YES"):
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                yield dataset
    except (rasterio.errors.RasterioError, OSError) as reason:
        raise ImageError(f"cut off or damaged: {_say(reason.__cause__ or reason)}", path) from reason


def _from_rasterio(dataset: Any, path: str, stretch: Stretch, window: Window | None) -> Pixels:
    """The first three bands (or the first as gray, or a palette's colours) of a window."""
    from rasterio.enums import ColorInterp
    from rasterio.windows import Window as Area

    x1, y1, x2, y2 = window or (0, 0, dataset.width, dataset.height)
    bands = [1, 2, 3] if dataset.count >= 3 else [1]
    values = np.moveaxis(dataset.read(bands, window=Area(x1, y1, x2 - x1, y2 - y1)), 0, -1)
    if values.dtype.kind not in "uif":
        raise ImageError(f"pixels of type {values.dtype} cannot be shown as RGB", path)
    if len(bands) == 1 and dataset.colorinterp[0] == ColorInterp.palette:
        palette = np.zeros((max(dataset.colormap(1)) + 1, 4), np.uint8)
        for index, colour in dataset.colormap(1).items():
            palette[index] = colour
        return np.ascontiguousarray(palette[values[..., 0]][..., :3])
    rgb = _to_bytes(values, stretch)
    return np.ascontiguousarray(rgb if len(bands) == 3 else _gray(rgb[..., 0]))
