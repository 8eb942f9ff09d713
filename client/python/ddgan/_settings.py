"""What both clients are made of."""

from __future__ import annotations

import math
import os
from typing import Any, Callable, Optional, TypeVar, Union

from ddgan import _arguments
from ddgan import _connection
from ddgan._connection import Connection
from ddgan._connection import Tls
from ddgan._errors import Error
from ddgan._retry import Deadline
from ddgan._retry import RetryPolicy

OnRetry = Callable[[Error, float], None]
Function = TypeVar('Function', bound=Callable[..., Any])


class Settings:
  """A client's arguments, checked."""

  def __init__(self, connection: Connection, model: Optional[str],
               timeout: Any, retry: Any, on_retry: Optional[OnRetry]) -> None:
    self.connection = connection
    self._model = None if model is None else _arguments.name('model', model)
    self._timeout = _arguments.seconds('timeout', timeout)
    if retry is not None and not isinstance(retry, RetryPolicy):
      raise TypeError(f'retry: of type {type(retry).__name__}; must be a '
                      'ddgan.RetryPolicy')
    self.retry: RetryPolicy = retry or RetryPolicy()
    if on_retry is not None and not callable(on_retry):
      raise TypeError(f'on_retry: of type {type(on_retry).__name__}; must be a '
                      'function of the failure and the seconds to wait')
    self._on_retry = on_retry

  def model(self, model: Any) -> Any:
    """Of one call. `model`: what its caller passed; None: the client's."""
    return self._model if model is None else model

  def deadline(self, timeout: Any = None) -> Deadline:
    """Of one call. `timeout`: what its caller passed; None: the client's."""
    if timeout is None:
      return Deadline(self._timeout)
    return Deadline(_arguments.seconds('timeout', timeout))

  def watch_deadline(self, timeout: Any) -> Deadline:
    """Of a watch, which has no end of its own."""
    return self.deadline(math.inf if timeout is None else timeout)

  def whole_deadline(self, timeout: Any) -> Optional[Deadline]:
    """Of several calls together; None: each has the client's."""
    return None if timeout is None else self.deadline(timeout)

  def note_retry(self, error: Error, delay: float) -> None:
    if self._on_retry is not None:
      self._on_retry(error, delay)


class ClientBase:
  """The constructor of both clients."""

  def __init__(
      self, address: Optional[str] = None, *, model: Optional[str] = None,
      timeout: float = 300.0, retry: Optional[RetryPolicy] = None,
      tls: Union[bool, Tls] = False, token: Optional[str] = None,
      token_file: Union[str, 'os.PathLike[str]', None] = None,
      token_without_tls: bool = False, client_id: Optional[str] = None,
      on_retry: Optional[OnRetry] = None) -> None:
    """Returns at once: the first call connects.

    Args:
      address: 'HOST:PORT' or another gRPC target. None: what the environment
        variable DDGAN_SERVER says, else 'localhost:50051'. The loopback is
        never reached through a proxy that the environment names.
      model: Name of the model for calls that name none, 1 to 64 bytes. None: the
        only one that the server has.
      timeout: Seconds for each call to the server, its retries included, where
        a method is not told otherwise; above 0, math.inf for no limit.
        `generate` and `stream` make one call for every 64 images.
      retry: When a failed call is tried again; None: RetryPolicy().
      tls: True to reach the server over TLS and trust the authorities that gRPC
        brings along; a Tls to name others or to show a certificate (mTLS).
      token: Goes with every call, 1 to 512 characters of ASCII without blanks.
        Without tls it is sent to this machine only.
      token_file: A file that holds the token, in the place of `token`.
      token_without_tls: Send the token without tls to another machine too,
        where everybody on the way can read it.
      client_id: What the caller is to be called where the server knows no
        token or certificate of it, so that callers behind one address share the
        server fairly; 1 to 64 characters of printable ASCII.
      on_retry: Called with the failure and the seconds to wait before each wait
        for a retry.

    Raises:
      TypeError, ValueError: an argument cannot be right; the message names it
        and its range.
      OSError: a file cannot be read.
    """
    self._settings = Settings(
        _connection.check_connection(
            address, tls=tls, token=token, token_file=token_file,
            token_without_tls=token_without_tls, client_id=client_id),
        model, timeout, retry, on_retry)

  @property
  def address(self) -> str:
    """The server's."""
    return self._settings.connection.address

  def __repr__(self) -> str:
    return f'<{type(self).__name__} of {self.address}>'


def documented_as(other: Callable[..., Any]) -> Callable[[Function], Function]:
  """Gives a method of AsyncClient the documentation of Client's."""

  def document(function: Function) -> Function:
    function.__doc__ = other.__doc__
    return function

  return document
