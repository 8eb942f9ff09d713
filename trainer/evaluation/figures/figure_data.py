"""What ddgan-evaluate wrote for a figure, checked before any of it is believed.

Whatever is wrong is a FigureError of one sentence that names file and field.
Nothing is read before its size is known to be bounded.
"""

import io
import json
import math
import os
import pathlib
import re
import stat

import numpy as np

MOST_JSON_BYTES = 4 << 20
MOST_ARRAY_BYTES = 256 << 20
MOST_TEXT = 200  # Characters.
MOST_PICTURES = 1024
_MOST_HEADER_BYTES = 4096
_FILE_NAME = re.compile(r'[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}')


class FigureError(Exception):
  """One sentence for the person at the command line."""


class Fields:
  """The fields of one JSON object, each read by what it must be.

  `where` stands before a field's name in messages: 'trilemma.json: rows[3].'
  """

  def __init__(self, value, where):
    if not isinstance(value, dict):
      raise FigureError(f'{where.rstrip(".: ")} must be a JSON object')
    self._value = value
    self._where = where

  def has(self, name):
    """Whether the field is there and not null."""
    return self._value.get(name) is not None

  def refuse(self, name, wanted):
    """Raises FigureError about the field."""
    found = json.dumps(self._value[name]) if name in self._value else 'missing'
    if len(found) > 40:
      found = found[:40] + '...'
    raise FigureError(f'{self._where}{name} is {found}, wanted is {wanted}')

  def text(self, name, most=MOST_TEXT, least=1):
    """Printable ASCII of `least` .. `most` characters."""
    value = self._value.get(name)
    if not (isinstance(value, str) and least <= len(value) <= most and
            value.isascii() and value.isprintable()):
      self.refuse(name, f'text of {least} .. {most} printable ASCII characters')
    return value

  def choice(self, name, allowed):
    """One of these texts."""
    if self._value.get(name) not in allowed:
      self.refuse(name, ' or '.join(allowed))
    return self._value[name]

  def boolean(self, name):
    if not isinstance(self._value.get(name), bool):
      self.refuse(name, 'true or false')
    return self._value[name]

  def integer(self, name, low, high):
    value = self._value.get(name)
    if type(value) is not int or not low <= value <= high:
      self.refuse(name, f'an integer of {low} .. {high}')
    return value

  def number(self, name, low, high):
    value = self._value.get(name)
    if type(value) not in (int, float) or not low <= value <= high:
      self.refuse(name, f'a number of {low:g} .. {high:g}')
    return float(value)

  def integers(self, name, low, high, most):
    """A list of 1 .. `most` integers of this range."""
    values = self._value.get(name)
    if (not isinstance(values, list) or not 0 < len(values) <= most or
        any(type(v) is not int or not low <= v <= high for v in values)):
      self.refuse(name, f'a list of 1 .. {most} integers of {low} .. {high}')
    return values

  def fields(self, name):
    """The object in this field."""
    if name not in self._value:
      self.refuse(name, 'a JSON object')
    return Fields(self._value[name], f'{self._where}{name}.')

  def objects(self, name, most):
    """The 1 .. `most` objects of the list in this field."""
    values = self._value.get(name)
    if not isinstance(values, list) or not 0 < len(values) <= most:
      self.refuse(name, f'a list of 1 .. {most} objects')
    return [
        Fields(value, f'{self._where}{name}[{i}].')
        for i, value in enumerate(values)
    ]


def _read_bounded(path, most):
  """The bytes of a regular file of at most `most`."""
  try:
    # Not blocking: a pipe would wait here for somebody to write.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, 'rb') as file:
      status = os.fstat(file.fileno())
      if not stat.S_ISREG(status.st_mode):
        raise FigureError(f'{path} is not a file')
      content = file.read(most + 1)
  except OSError as error:
    raise FigureError(f'{path}: {error.strerror}') from error
  if len(content) > most:
    raise FigureError(f'{path} has more than {most} bytes')
  return content


def read_json(path):
  """The Fields of the object that the file is."""
  content = _read_bounded(path, MOST_JSON_BYTES)
  try:
    value = json.loads(content)
  except (ValueError, RecursionError) as error:
    raise FigureError(f'{path} is not JSON: {error}') from error
  return Fields(value, f'{path}: ')


class FigureFolder:
  """A folder of figure.json and the arrays that it names."""

  def __init__(self, folder, kind):
    """FigureError unless figure.json is there and of this kind."""
    self._folder = pathlib.Path(folder)
    self.fields = read_json(self._folder / 'figure.json')
    self.fields.choice('kind', (kind,))
    self._files = self.fields.fields('files')

  def pictures(self, name, dimensions, most=MOST_PICTURES):
    """uint8 array of `dimensions`, the last three height, width and channels.

    The first is 1 .. `most`, height and width are 1 .. 1024, channels 1 or 3.
    """
    entry = self._files.fields(name)
    file_name = entry.text('file', most=100)
    if not _FILE_NAME.fullmatch(file_name):
      entry.refuse('file', "a file's name without folders")
    entry.choice('dtype', ('uint8',))
    shape = entry.integers('shape', 1, 1 << 20, most=8)
    if len(shape) != dimensions:
      entry.refuse('shape', f'{dimensions} dimensions')
    if shape[0] > most:
      entry.refuse('shape', f'at most {most} in the first dimension')
    if max(shape[-3:-1]) > 1024 or shape[-1] not in (1, 3):
      entry.refuse('shape', 'height and width of 1 .. 1024 and 1 or 3 channels '
                   'at its end')
    if math.prod(shape) > MOST_ARRAY_BYTES:
      entry.refuse('shape', f'at most {MOST_ARRAY_BYTES} elements')
    return _read_array(self._folder / file_name, tuple(shape))


def _read_array(path, shape):
  """The uint8 array of this shape that is all that the .npy file holds."""
  content = _read_bounded(path, math.prod(shape) + _MOST_HEADER_BYTES)
  file = io.BytesIO(content)
  try:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
      found, fortran_order, dtype = np.lib.format.read_array_header_1_0(
          file, max_header_size=_MOST_HEADER_BYTES)
  except Exception as error:  # Whatever Python's parser makes of the header.
    raise FigureError(f'{path} is not a NumPy file') from error
  if version != (1, 0):
    raise FigureError(f'{path}: its NumPy format is not 1.0')
  if found != shape or fortran_order or dtype != np.uint8:
    raise FigureError(
        f'{path} does not hold uint8 of shape {list(shape)} in C order, '
        'as figure.json says')
  pixels = len(content) - file.tell()
  if pixels != math.prod(shape):
    raise FigureError(f'{path} has {pixels} bytes of pixels, '
                      f'wanted are {math.prod(shape)}')
  return np.frombuffer(content, np.uint8, offset=file.tell()).reshape(shape)
