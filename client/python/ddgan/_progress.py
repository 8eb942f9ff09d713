"""Shows how many images are done, if that is asked for."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Callable, Iterator, Optional, Union

# True shows a bar. A function is called with the images that are done and those
# that were asked for.
Progress = Union[bool, Callable[[int, int], None]]
Report = Callable[[int], None]


@contextlib.contextmanager
def reporting(progress: Progress, total: int) -> Iterator[Optional[Report]]:
  """What to call with the number of images that are done; it may fall when a
  call is tried again. None if nothing is to be shown.

  ImportError without tqdm, if a bar is wanted.
  """
  if progress is False:
    yield None
    return
  if callable(progress):
    notify = progress
    yield lambda done: notify(done, total)
    return
  if progress is not True:
    raise TypeError(f'progress: of type {type(progress).__name__}; must be a '
                    'bool or a function')
  bar = _tqdm()(total=total, unit='image')
  try:
    yield lambda done: bar.update(done - bar.n)
  finally:
    bar.close()


def _tqdm() -> Any:
  try:
    return importlib.import_module('tqdm.auto').tqdm
  except ImportError as error:
    raise ImportError("progress=True needs tqdm: pip install "
                      "'ddgan-client[progress]', or pass a function") from error
