"""Whether a failed call is worth another attempt, and when. Pure.

The same decisions as those of client/retry_policy.h.
"""

from __future__ import annotations

import dataclasses
import math
import random
import re
import time
from typing import Callable, Optional

import grpc

from ddgan import _arguments
from ddgan._errors import Error

_INT64_MAX = 2**63 - 1
_LONGEST_SECONDS = 1e9  # 31 years: as good as no limit.


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
  """When a client tries a failed call again. All times are in seconds.

  Asking twice is safe, since an image does not depend on the call. It is of use
  after UNAVAILABLE, and after RESOURCE_EXHAUSTED if the server says for how
  long to wait: without that hint the reason is a limit, which stays. Waits vary
  by up to 20 %, to spread callers that failed together.

  Attributes:
    max_attempts: Attempts of one call, the first included; 1 never retries.
    initial_backoff, max_backoff: Without a hint from the server, retry n waits
      initial_backoff * 2**(n - 1), at most max_backoff.
    max_pushback: Longest hint that is followed. A server that asks for more is
      as good as down for this call.
  """

  max_attempts: int = 5
  initial_backoff: float = 0.2
  max_backoff: float = 5.0
  max_pushback: float = 60.0

  def __post_init__(self) -> None:
    _arguments.integer('max_attempts', self.max_attempts, 1, 2**31 - 1)
    for name in ('initial_backoff', 'max_backoff', 'max_pushback'):
      _arguments.seconds(name, getattr(self, name), zero=True)


def parse_pushback(trailer: str) -> float:
  """Seconds to wait, by the trailer grpc-retry-pushback-ms.

  Infinite, which means "do not retry", for a negative number and for text that
  is no number, as gRPC's retry design (A6) defines.
  """
  if not re.fullmatch(r'\s*[+-]?[0-9]{1,19}\s*', trailer, re.ASCII):
    return math.inf
  milliseconds = int(trailer)
  if not 0 <= milliseconds <= _INT64_MAX:
    return math.inf
  return milliseconds / 1000


def delay_before_retry(policy: RetryPolicy, attempt: int, error: Error,
                       time_left: float, jitter: float) -> Optional[float]:
  """How many seconds to wait before the next attempt; None: give up.

  Args:
    attempt: The number of the one that failed; 1 is the first.
    time_left: Seconds until the call's deadline. A wait that it would cut short
      is not begun.
    jitter: Uniform in [0, 1). The wait is between 0.8 and 1.2 times its nominal
      length, or between 1.0 and 1.2 times what the server said.
  """
  if attempt >= policy.max_attempts:
    return None
  hint = error.retry_after
  may_pass = error.code == grpc.StatusCode.UNAVAILABLE or (
      error.code == grpc.StatusCode.RESOURCE_EXHAUSTED and hint is not None)
  if not may_pass:
    return None
  if hint is None:
    # Beyond 2**60 the cap holds whatever the first wait is.
    backoff = policy.initial_backoff * 2.0**min(attempt - 1, 60)
    delay = min(backoff, policy.max_backoff) * (0.8 + 0.4 * jitter)
  elif hint > policy.max_pushback:
    return None
  else:
    delay = hint * (1.0 + 0.2 * jitter)
  return delay if delay < time_left else None


class Deadline:
  """The moment at which a call, with all its attempts, has to be over."""

  def __init__(self, timeout: float,
               clock: Callable[[], float] = time.monotonic) -> None:
    """`timeout`: seconds from now, possibly infinite."""
    self._clock = clock
    self._end = clock() + timeout

  def time_left(self) -> float:
    """Seconds, 0 once it is over."""
    return max(0.0, self._end - self._clock())

  def for_grpc(self) -> Optional[float]:
    """What gRPC takes as the timeout of a call that begins now."""
    left = self.time_left()
    # gRPC takes what its clock cannot hold for the past.
    return None if left > _LONGEST_SECONDS else left


class Attempts:
  """The attempts of one call, which share a deadline."""

  def __init__(self, policy: RetryPolicy, deadline: Deadline,
               jitter: Callable[[], float] = random.random) -> None:
    self._policy = policy
    self._deadline = deadline
    self._jitter = jitter
    self._failed = 0

  def delay_after(self, error: Error) -> Optional[float]:
    """As delay_before_retry, for the attempt that has just failed."""
    self._failed += 1
    return delay_before_retry(self._policy, self._failed, error,
                              self._deadline.time_left(), self._jitter())
