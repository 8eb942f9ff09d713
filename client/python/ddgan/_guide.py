"""Turns what a caller has for a guide into the PNG file that is sent."""

from __future__ import annotations

import io
import os
import pathlib
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps

from ddgan import _pictures

GuidePicture = Union[PIL.Image.Image, npt.NDArray[Any], bytes, str,
                     'os.PathLike[str]', '_pictures.Picture']

MAX_BYTES = 1 << 20
MAX_SIDE = 2048
_MAX_FILE_BYTES = 64 << 20
_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
# What is read by Pillow alone: its EPS, for one, starts another program.
_FORMATS = ('BMP', 'GIF', 'JPEG', 'PPM', 'TIFF', 'WEBP')
# The modes of Pillow whose PNG the server reads.
_MODES = ('L', 'I;16', 'RGB', 'RGBA')


def guide_png(guide: GuidePicture) -> bytes:
  """The guide as a PNG file of at most 1 MiB and 2048x2048 pixels.

  TypeError or ValueError, naming `guide`, if it cannot be made one; OSError if
  its file cannot be read.
  """
  if isinstance(guide, _pictures.Picture):
    return _checked(guide.png)
  if isinstance(guide, PIL.Image.Image):
    return _encode(guide)
  if isinstance(guide, np.ndarray):
    return _encode(_from_array(guide))
  if isinstance(guide, (bytes, bytearray, memoryview)):
    return _from_file(bytes(guide))
  if isinstance(guide, (str, os.PathLike)):
    return _from_file(_read(pathlib.Path(guide)))
  raise TypeError(
      f'guide: of type {type(guide).__name__}; must be a PIL image, a NumPy '
      'array, an image of this package, the bytes of a picture file or its '
      'path')


def _read(path: pathlib.Path) -> bytes:
  with open(path, 'rb') as file:
    content = file.read(_MAX_FILE_BYTES + 1)
  if len(content) > _MAX_FILE_BYTES:
    raise ValueError(f'guide: {path} has more than {_MAX_FILE_BYTES} bytes')
  return content


def _from_file(content: bytes) -> bytes:
  """A PNG file goes as it is, one of _FORMATS is converted."""
  if content.startswith(_PNG_SIGNATURE):
    return _checked(content)
  try:
    with PIL.Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
      _check_sides(*picture.size)  # Before its pixels take memory.
      return _encode(PIL.ImageOps.exif_transpose(picture) or picture)
  except (OSError, SyntaxError, PIL.Image.DecompressionBombError) as error:
    raise ValueError('guide: no picture in a PNG, BMP, GIF, JPEG, PPM, TIFF or '
                     f'WebP file: {error}') from None


def _from_array(array: npt.NDArray[Any]) -> PIL.Image.Image:
  """[H, W], or [H, W, C] with C of 1, 3 or 4; uint8, or floats in [0, 1]."""
  shape = array.shape
  if array.ndim not in (2, 3) or 0 in shape or (
      array.ndim == 3 and shape[2] not in (1, 3, 4)):
    raise ValueError(f'guide: an array of shape {list(shape)}; must be '
                     '[height, width] or [height, width, channels] with 1, 3 '
                     'or 4 channels')
  if np.issubdtype(array.dtype, np.floating):
    if not np.all((array >= 0) & (array <= 1)):
      raise ValueError('guide: an array of floats with values outside [0, 1]')
    array = np.floor(array.astype(np.float32) * 255 + 0.5).astype(np.uint8)
  elif array.dtype != np.uint8:
    raise TypeError(f'guide: an array of {array.dtype}; must be uint8, or '
                    'floats in [0, 1]')
  if array.ndim == 3 and shape[2] == 1:
    array = array[:, :, 0]
  return PIL.Image.fromarray(np.ascontiguousarray(array))


def _encode(picture: PIL.Image.Image) -> bytes:
  _check_sides(*picture.size)
  if picture.mode == '1':
    picture = picture.convert('L')
  elif picture.mode in ('P', 'PA', 'LA', 'La', 'RGBa'):
    picture = picture.convert('RGBA')
  elif picture.mode in ('CMYK', 'YCbCr', 'LAB', 'HSV', 'RGBX'):
    picture = picture.convert('RGB')
  if picture.mode not in _MODES:
    raise ValueError(f'guide: a PIL image of mode {picture.mode!r}; must be '
                     "one of 'L', 'RGB', 'RGBA', or be converted to one")
  file = io.BytesIO()
  picture.save(file, 'PNG', optimize=True)
  return _checked(file.getvalue())


def _checked(png: bytes) -> bytes:
  if len(png) > MAX_BYTES:
    raise ValueError(
        f'guide: a PNG file of {len(png)} bytes; must have at most '
        f'{MAX_BYTES}. A smaller picture will do: guide.thumbnail((512, 512)) '
        'shrinks a PIL image')
  if len(png) >= 24:
    _check_sides(int.from_bytes(png[16:20], 'big'),
                 int.from_bytes(png[20:24], 'big'))
  return png


def _check_sides(width: int, height: int) -> None:
  if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
    raise ValueError(
        f'guide: {width}x{height} pixels; each side must be in [1, {MAX_SIDE}]')
