"""What a server makes: images, previews, and the images of one request."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import pathlib
import sys
from typing import Any, Generic, Iterator, List, NamedTuple, Optional
from typing import Sequence, Tuple, TypeVar, Union, overload

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.PngImagePlugin

_GRID_GRAY = 128


class Shape(NamedTuple):
  """Size of an image in pixels; `channels` is 1 (gray) or 3 (red, green, blue).
  """

  channels: int
  height: int
  width: int


@dataclasses.dataclass(frozen=True, repr=False)
class Picture:
  """A picture with all that is needed to ask for it again.

  The properties `image`, `array`, `float32` and `png` are made anew each time,
  so that what is done to one changes no other.

  Attributes:
    model: Name of the model that made it.
    version: The model's version, 1 or more.
    digest: SHA-256 of the version's manifest.json, 64 hexadecimal digits. Equal
      digests mean equal weights.
    seed: Seed of the noise, in [0, 2**64 - 1].
    index: Number of the image among those of its seed, in [0, 2**32 - 1].
    steps: Evaluations of the generator that the image takes; with a guide, the
      guide's steps.
    shape: Channels, height and width in pixels.
    data: The picture as it came: a PNG file, or with output_type='np' float32,
      little-endian, in planes (channels, height, width).
    output_type: What was asked for: 'pil', 'np' or 'png'.
  """

  model: str
  version: int
  digest: str
  seed: int
  index: int
  steps: int
  shape: Shape
  data: bytes
  output_type: str

  @property
  def float32(self) -> npt.NDArray[np.float32]:
    """The generator's own output: [channels, height, width], nominally in
    [-1, 1] and not clipped. ValueError unless output_type='np' was asked for.
    """
    if self.output_type != 'np':
      raise ValueError("float32: the image came as a PNG file; ask for it with "
                       "output_type='np'")
    floats = np.frombuffer(self.data, '<f4').astype(np.float32)
    return floats.reshape(self.shape)

  @property
  def array(self) -> npt.NDArray[np.uint8]:
    """The pixels: uint8, [height, width, channels].

    The same whatever the output_type: floats are rounded as the server does.
    """
    channels, height, width = self.shape
    if self.output_type == 'np':
      x = np.clip(self.float32, np.float32(-1), np.float32(1))
      levels = np.floor((x + np.float32(1)) * np.float32(127.5)
                        + np.float32(0.5))
      return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))
    with PIL.Image.open(io.BytesIO(self.data)) as picture:
      return np.array(picture, np.uint8).reshape(height, width, channels)

  @property
  def image(self) -> PIL.Image.Image:
    """A PIL image, of mode 'L' if the model is gray, else 'RGB'."""
    if self.output_type == 'np':
      return _pil(self.array)
    with PIL.Image.open(io.BytesIO(self.data)) as picture:
      image: PIL.Image.Image = picture.copy()
      return image

  @property
  def png(self) -> bytes:
    """A PNG file whose text (tEXt) says where the image comes from.

    The server's own file, byte for byte, but for output_type='np': then it is
    made here, with the same pixels and the same text.
    """
    if self.output_type != 'np':
      return self.data
    text = PIL.PngImagePlugin.PngInfo()
    for key, value in self._text():
      text.add_text(key, value)
    file = io.BytesIO()
    self.image.save(file, 'PNG', pnginfo=text)
    return file.getvalue()

  def _text(self) -> List[Tuple[str, str]]:
    return [('Software', 'ddgan-serve'), ('ddgan:model', self.model),
            ('ddgan:version', str(self.version)),
            ('ddgan:digest', self.digest), ('ddgan:seed', str(self.seed)),
            ('ddgan:index', str(self.index)), ('ddgan:steps', str(self.steps))]

  def save(self, path: Union[str, 'os.PathLike[str]']) -> None:
    """Writes the PNG file."""
    data = self.png
    with open(path, 'wb') as file:
      try:
        file.write(data)
        file.flush()
      except OSError:
        # A part of a picture is worse than none.
        if pathlib.Path(path).is_file():
          os.unlink(path)
        raise

  def __array__(self, dtype: Any = None,
                copy: Optional[bool] = None) -> npt.NDArray[Any]:
    if copy is False:
      raise ValueError('copy=False: an array of an image is always a copy')
    return self.array if dtype is None else self.array.astype(dtype)

  def _repr_png_(self) -> bytes:
    """What a notebook shows."""
    return self.png

  def __repr__(self) -> str:
    channels, height, width = self.shape
    kind = 'gray' if channels == 1 else 'RGB'
    return (f'<{type(self).__name__} {self.index} of seed {self.seed}: '
            f'{width}x{height} {kind}, {self.model} {self.version}>')


@dataclasses.dataclass(frozen=True, repr=False)
class Image(Picture):
  """A finished image: `.image` (PIL), `.array` (uint8, [height, width,
  channels]), `.png`, and with output_type='np' `.float32` ([channels, height,
  width]); `.seed`, `.index`, `.version` and the other attributes of Picture.
  """


@dataclasses.dataclass(frozen=True, repr=False)
class Preview(Picture):
  """What an unfinished image would be if it had to be ready now (x0').

  Attributes:
    steps_left: Steps that the image has left, of `steps`: steps - 1 after the
      first, 1 for the last that gives a preview. The others are Picture's.
  """

  steps_left: int

  def _text(self) -> List[Tuple[str, str]]:
    return super()._text() + [('ddgan:step', str(self.steps_left))]

  def __repr__(self) -> str:
    return f'{super().__repr__()[:-1]}, {self.steps_left} steps left>'


class Timings(NamedTuple):
  """Where the time went in the server, in seconds, summed over its calls.

  Attributes:
    queue: From acceptance to the start of the first denoising step.
    steps: From there to the end of the last one.
    encode: Processor time of encoding; 0 for output_type='np', which is not
      encoded.
  """

  queue: float
  steps: float
  encode: float


# What `images` is: List[PIL.Image.Image], an array, or List[bytes].
Pictures = TypeVar('Pictures')


class Generation(Sequence[Image], Generic[Pictures]):
  """The images of one `generate`, by ascending index; a sequence of `Image`.

  Attributes:
    model, version, digest, seed, shape, output_type: As of each image.
    num_timesteps: Denoising steps of the model's diffusion process (T), 1 to
      1000.
    evaluations: Evaluations of the generator that an image of this model takes
      without a guide, 1 to 1999.
    timings: Where the time went in the server.
  """

  def __init__(self, images: Sequence[Image], num_timesteps: int,
               evaluations: int, timings: Timings) -> None:
    """Made by `generate`; `images` are of one request, at least one."""
    self._images = tuple(images)
    first = self._images[0]
    self.model = first.model
    self.version = first.version
    self.digest = first.digest
    self.seed = first.seed
    self.shape = first.shape
    self.output_type = first.output_type
    self.num_timesteps = num_timesteps
    self.evaluations = evaluations
    self.timings = timings

  @property
  def images(self) -> Pictures:
    """The pictures alone, as a pipeline of diffusers returns them.

    By output_type: 'pil' a list of PIL images; 'np' a float32 array [count,
    height, width, channels] in [0, 1]; 'png' a list of PNG files as bytes.
    """
    pictures: Any
    if self.output_type == 'np':
      x = np.stack([image.float32 for image in self._images])
      pictures = np.ascontiguousarray(
          np.clip(x / 2 + np.float32(0.5), 0, 1).transpose(0, 2, 3, 1))
    elif self.output_type == 'png':
      pictures = [image.png for image in self._images]
    else:
      pictures = [image.image for image in self._images]
    result: Pictures = pictures
    return result

  @property
  def array(self) -> npt.NDArray[np.uint8]:
    """The pixels of all images: uint8, [count, height, width, channels]."""
    return np.stack([image.array for image in self._images])

  @property
  def float32(self) -> npt.NDArray[np.float32]:
    """The generator's own output: [count, channels, height, width], nominally
    in [-1, 1]. ValueError unless output_type='np' was asked for."""
    return np.stack([image.float32 for image in self._images])

  def grid(self, columns: Optional[int] = None,
           scale: int = 1) -> PIL.Image.Image:
    """All images as one picture.

    They are laid out row by row with 2 pixels of gray between and around them.

    Args:
      columns: Images in a row, 1 or more; None: about as many as rows.
      scale: How many pixels wide and high each pixel becomes, 1 to 64.
    """
    return image_grid(self.array, columns, scale)

  def save(self, folder: Union[str, 'os.PathLike[str]']) -> List[pathlib.Path]:
    """Writes a PNG file for each image, named by its index, such as 12.png.

    The folder is made if it is missing. Returns the files' paths.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for image in self._images:
      paths.append(folder / f'{image.index}.png')
      image.save(paths[-1])
    return paths

  def __len__(self) -> int:
    return len(self._images)

  @overload
  def __getitem__(self, index: int) -> Image: ...

  @overload
  def __getitem__(self, index: slice) -> Tuple[Image, ...]: ...

  def __getitem__(
      self, index: Union[int, slice]) -> Union[Image, Tuple[Image, ...]]:
    return self._images[index]

  def __iter__(self) -> Iterator[Image]:
    return iter(self._images)

  def _repr_png_(self) -> bytes:
    """What a notebook shows: the grid."""
    file = io.BytesIO()
    self.grid().save(file, 'PNG')
    return file.getvalue()

  def __repr__(self) -> str:
    return (f'<{len(self)} images of seed {self.seed} from index '
            f'{self._images[0].index}, {self.model} {self.version}>')


def image_grid(pixels: npt.NDArray[np.uint8], columns: Optional[int],
               scale: int) -> PIL.Image.Image:
  """`pixels`: uint8, [count, height, width, channels]."""
  count, height, width, channels = pixels.shape
  if columns is None:
    columns = math.isqrt(count - 1) + 1
  from ddgan import _arguments  # It imports this module.
  columns = min(_arguments.integer('columns', columns, 1, sys.maxsize), count)
  scale = _arguments.integer('scale', scale, 1, 64)
  rows = -(-count // columns)
  gap = 2
  grid = np.full((gap + rows * (height * scale + gap),
                  gap + columns * (width * scale + gap), channels),
                 _GRID_GRAY, np.uint8)
  for i in range(count):
    top = gap + i // columns * (height * scale + gap)
    left = gap + i % columns * (width * scale + gap)
    grid[top:top + height * scale, left:left + width * scale] = (
        pixels[i].repeat(scale, axis=0).repeat(scale, axis=1))
  return _pil(grid)


def _pil(pixels: npt.NDArray[np.uint8]) -> PIL.Image.Image:
  """`pixels`: [height, width, channels]."""
  return PIL.Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1
                             else pixels)
