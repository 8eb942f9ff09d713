"""Calls on one channel, tried again as the policy says. Thread-safe."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from types import TracebackType
from typing import Any, Callable, Dict, Generator, Generic, Iterator, Optional
from typing import Type, TypeVar

import grpc

from ddgan._connection import Connection
from ddgan._connection import error_of
from ddgan._errors import Error
from ddgan._protocol import Method
from ddgan._retry import Attempts
from ddgan._retry import Deadline
from ddgan._retry import RetryPolicy

Event = TypeVar('Event')


class Calls:
  """Owns the channel. Every failure of a call is an Error."""

  def __init__(self, connection: Connection, policy: RetryPolicy,
               on_retry: Callable[[Error, float], None]) -> None:
    self.policy = policy
    self._connection = connection
    self._on_retry = on_retry
    if connection.credentials is None:
      self._channel = grpc.insecure_channel(connection.address,
                                            connection.options)
    else:
      self._channel = grpc.secure_channel(
          connection.address, connection.credentials, connection.options)
    self._lock = threading.Lock()
    self._closed = False  # Guarded by the lock.
    self._callables: Dict[str, Any] = {}  # By path; guarded by the lock.

  def unary(self, method: Method, request: Any, deadline: Deadline,
            may_retry: bool = True) -> Any:
    """The message that answers the request."""
    attempts = Attempts(self.policy, deadline)
    while True:
      try:
        return self._unary_once(method, request, deadline)
      except Error as error:
        if not may_retry:
          raise
        self.pause(attempts, error)

  def stream(self, method: Method, request: Any,
             deadline: Deadline) -> Generator[Any, None, None]:
    """The messages that answer the request, of which a caller has seen none
    when it is tried again: after the first, a failure is final."""
    attempts = Attempts(self.policy, deadline)
    begun = False
    while True:
      try:
        with contextlib.closing(
            self.stream_once(method, request, deadline)) as messages:
          for message in messages:
            begun = True
            yield message
        return
      except Error as error:
        if begun:
          raise
        self.pause(attempts, error)

  def stream_once(self, method: Method, request: Any,
                  deadline: Deadline) -> Generator[Any, None, None]:
    """One attempt. Whoever closes the generator cancels the call."""
    call = self._callable(method, stream=True)(
        request, timeout=deadline.for_grpc(),
        metadata=self._connection.metadata)
    try:
      yield from call
    except grpc.RpcError as failure:
      raise error_of(failure, self._connection.address) from None
    finally:
      call.cancel()  # Of no effect on a call that has ended.

  def pause(self, attempts: Attempts, error: Error) -> None:
    """Waits for the next attempt; raises the error if there is to be none."""
    delay = attempts.delay_after(error)
    if delay is None:
      raise error
    self._on_retry(error, delay)
    time.sleep(delay)

  def close(self) -> None:
    """Cancels what is in flight. Calling it twice is as good as once."""
    with self._lock:
      self._closed = True
    self._channel.close()

  def check_open(self) -> None:
    with self._lock:
      if self._closed:
        raise RuntimeError(
            f'the client of {self._connection.address} is closed')

  def _unary_once(self, method: Method, request: Any,
                  deadline: Deadline) -> Any:
    # A future rather than a blocking call, so that Ctrl-C also ends it in the
    # server. It is waited for without a lock of gRPC's in the hands of the main
    # thread: one that Ctrl-C leaves locked would stop gRPC's own thread.
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    call = self._callable(method, stream=False).future(
        request, timeout=deadline.for_grpc(),
        metadata=self._connection.metadata)
    try:
      call.add_done_callback(done.put)
      done.get()
      return call.result()
    except grpc.RpcError as failure:
      raise error_of(failure, self._connection.address) from None
    except grpc.FutureCancelledError:
      raise error_of(call, self._connection.address) from None
    finally:
      call.cancel()  # Of no effect on a call that has ended.

  def _callable(self, method: Method, stream: bool) -> Any:
    self.check_open()
    with self._lock:
      if method.path not in self._callables:
        make = (self._channel.unary_stream if stream
                else self._channel.unary_unary)
        self._callables[method.path] = make(
            method.path, request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString)
      return self._callables[method.path]


class EventStream(Generic[Event]):
  """An iterator over what a server sends, as it comes.

  A loop that is left early should be told so by `close`, or by using the stream
  in a `with` statement: it ends the call, and the server stops the work.
  """

  def __init__(self, events: Generator[Event, None, None]) -> None:
    self._events = events

  def __iter__(self) -> Iterator[Event]:
    return self

  def __next__(self) -> Event:
    return next(self._events)

  def close(self) -> None:
    """Ends the call, if it has not ended. Nothing more comes."""
    self._events.close()

  def __enter__(self) -> EventStream[Event]:
    return self

  def __exit__(self, error_type: Optional[Type[BaseException]],
               error: Optional[BaseException],
               traceback: Optional[TracebackType]) -> None:
    self.close()
