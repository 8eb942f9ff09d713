"""How a request for any number of images becomes calls. Pure."""

from __future__ import annotations

import dataclasses
from typing import Iterator, Optional

import grpc

from ddgan._arguments import Ask
from ddgan._arguments import MAX_COUNT_PER_CALL
from ddgan._errors import Error
from ddgan._events import Accepted


class Parts:
  """Iterates over the calls of at most 64 images that a request is split into,
  by ascending index.

  After each call one of two is due. `shrinks` says whether the call failed for
  being too large a part; the next one is then for the same images, fewer of
  them. `hold` has to be told what the server chose for each. The model, version and
  seed that it chose for the first are asked for in the later ones, so that the
  images are those of one large call.
  """

  def __init__(self, ask: Ask) -> None:
    self._ask = ask
    self._held: Optional[Accepted] = None
    self._most = MAX_COUNT_PER_CALL
    self._done = 0
    self._part = ask

  def __iter__(self) -> Iterator[Ask]:
    while self._done < self._ask.count:
      part = dataclasses.replace(
          self._ask, count=min(self._ask.count - self._done, self._most),
          first_index=self._ask.first_index + self._done)
      if self._held is not None:
        part = dataclasses.replace(
            part, model=self._held.model, version=self._held.version,
            seed=self._held.seed)
      self._part = part
      self._done += part.count
      yield part

  def shrinks(self, error: Error) -> bool:
    """Whether the server would answer, were there fewer images in a reply:
    large ones reach its most bytes before 64 of them."""
    if (error.code is not grpc.StatusCode.INVALID_ARGUMENT
        or not error.details.startswith('count: ') or self._part.count == 1):
      return False
    self._most = self._part.count // 2
    self._done -= self._part.count
    return True

  def hold(self, chosen: Accepted) -> None:
    """ABORTED if the version's files are others than in the first call."""
    if self._held is None:
      self._held = chosen
    elif self._held.digest != chosen.digest:
      raise Error(
          grpc.StatusCode.ABORTED,
          f'model {chosen.model} version {chosen.version} changed between two '
          f'calls: digest {self._held.digest}, then {chosen.digest}')
