"""Checks of what a caller passes, before anything is sent.

What cannot be right is a TypeError or a ValueError that names the argument, its
value and the allowed range.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from typing import Any, Literal, Optional, Tuple

from ddgan import _guide

OutputType = Literal['pil', 'np', 'png']
RequestClass = Literal['interactive', 'batch']
GuideFit = Literal['refuse', 'resize']

MAX_COUNT_PER_CALL = 64
MAX_INDEX = 2**32 - 1
MAX_SEED = 2**64 - 1
MAX_VERSION = 2**63 - 1
MAX_GUIDE_STEPS = 1999
MAX_NAME_BYTES = 64


@dataclasses.dataclass(frozen=True)
class Guide:
  """A picture to start from."""

  png: bytes
  steps: int
  fit: str  # One of GuideFit.


@dataclasses.dataclass(frozen=True)
class Ask:
  """What images are asked for, in one call or in several."""

  count: int
  model: str  # Empty: the only one.
  version: Optional[int]  # None: the live one.
  seed: Optional[int]  # None: the server draws one.
  first_index: int
  output_type: str  # One of OutputType.
  request_class: str  # One of RequestClass.
  guide: Optional[Guide]


def check_ask(*, count: Any, model: Any, version: Any, seed: Any,
              first_index: Any, output_type: Any, request_class: Any,
              guide: Any, guide_steps: Any, guide_fit: Any) -> Ask:
  """The arguments of generate and stream, checked."""
  count = integer('count', count, 1, MAX_INDEX + 1)
  first_index = integer('first_index', first_index, 0, MAX_INDEX)
  if count - 1 > MAX_INDEX - first_index:
    raise ValueError(
        f'first_index: {first_index} with count {count}; the last index, '
        f'first_index + count - 1, must be at most {MAX_INDEX}')
  return Ask(
      count=count,
      model='' if model is None else name('model', model),
      version=(None if version is None
               else integer('version', version, 1, MAX_VERSION)),
      seed=None if seed is None else integer('seed', seed, 0, MAX_SEED),
      first_index=first_index,
      output_type=choice('output_type', output_type, ('pil', 'np', 'png')),
      request_class=choice('request_class', request_class,
                           ('interactive', 'batch')),
      guide=_check_guide(guide, guide_steps, guide_fit))


def _check_guide(guide: Any, steps: Any, fit: Any) -> Optional[Guide]:
  fit = choice('guide_fit', fit, ('refuse', 'resize'))
  if guide is None:
    if steps is not None:
      raise ValueError('guide_steps: needs a guide')
    return None
  if steps is None:
    raise ValueError(
        'guide_steps: must be given with a guide, 1 (stays close to it) to the '
        "model's evaluations per image (leaves it behind)")
  steps = integer('guide_steps', steps, 1, MAX_GUIDE_STEPS)
  return Guide(_guide.guide_png(guide), steps, fit)


def integer(argument: str, value: Any, low: int, high: int) -> int:
  """Any kind of integer, NumPy's too, but no bool, as a Python int."""
  try:
    if isinstance(value, bool):
      raise TypeError
    number = operator.index(value)
  except TypeError:
    raise TypeError(f'{argument}: {value!r} is {_kind(value)}; must be an '
                    f'integer in [{low}, {high}]') from None
  if not low <= number <= high:
    raise ValueError(f'{argument}: {number}; must be in [{low}, {high}]')
  return number


def choice(argument: str, value: Any, choices: Tuple[str, ...]) -> str:
  listed = ', '.join(map(repr, choices))
  if not isinstance(value, str):
    raise TypeError(f'{argument}: {value!r} is {_kind(value)}; must be one of '
                    f'{listed}')
  if value not in choices:
    raise ValueError(f'{argument}: {value!r}; must be one of {listed}')
  return value


def name(argument: str, value: Any) -> str:
  """Of a model."""
  if not isinstance(value, str):
    raise TypeError(f'{argument}: {value!r} is {_kind(value)}; must be a str '
                    f'of 1 to {MAX_NAME_BYTES} bytes')
  try:
    size = len(value.encode())
  except UnicodeEncodeError:
    raise ValueError(f'{argument}: {value!r}; has no UTF-8') from None
  if not 1 <= size <= MAX_NAME_BYTES:
    raise ValueError(f'{argument}: a name of {size} bytes; must have 1 to '
                     f'{MAX_NAME_BYTES}')
  return value


def client_id(value: Any) -> str:
  checked = name('client_id', value)
  if not all(' ' <= character <= '~' for character in checked):
    raise ValueError(f'client_id: {value!r}; must be printable ASCII')
  return checked


def seconds(argument: str, value: Any, *, zero: bool = False) -> float:
  """A time, possibly infinite. `zero`: it may be 0."""
  wanted = (f'must be a number of seconds{", 0 or" if zero else ""} above 0; '
            'math.inf for no limit')
  try:
    if isinstance(value, (bool, str)):
      raise TypeError
    number = float(value)
  except TypeError:
    raise TypeError(f'{argument}: {value!r} is {_kind(value)}; {wanted}'
                    ) from None
  except OverflowError:  # An integer beyond all floats.
    number = math.copysign(math.inf, value > 0 or -1)
  if math.isnan(number) or number < 0 or (number == 0 and not zero):
    raise ValueError(f'{argument}: {value}; {wanted}')
  return number


def _kind(value: Any) -> str:
  return f'of type {type(value).__name__}'
