"""Calls on one channel of asyncio, tried again as the policy says."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, AsyncGenerator, AsyncIterator, Callable, Dict, Generic
from typing import Optional, Type, TypeVar

import grpc.aio

from ddgan._connection import Connection
from ddgan._connection import error_of
from ddgan._errors import Error
from ddgan._protocol import Method
from ddgan._retry import Attempts
from ddgan._retry import Deadline
from ddgan._retry import RetryPolicy

Event = TypeVar('Event')


class AsyncCalls:
  """Owns the channel, which belongs to the event loop of the first call. Every
  failure of a call is an Error. Cancelling the task that waits for one ends it,
  in the server too."""

  def __init__(self, connection: Connection, policy: RetryPolicy,
               on_retry: Callable[[Error, float], None]) -> None:
    self.policy = policy
    self._connection = connection
    self._on_retry = on_retry
    self._channel: Optional[grpc.aio.Channel] = None
    self._loop: Optional[asyncio.AbstractEventLoop] = None
    self._closed = False
    self._callables: Dict[str, Any] = {}  # By path.

  async def unary(self, method: Method, request: Any, deadline: Deadline,
                  may_retry: bool = True) -> Any:
    """The message that answers the request."""
    attempts = Attempts(self.policy, deadline)
    while True:
      try:
        return await self._unary_once(method, request, deadline)
      except Error as error:
        if not may_retry:
          raise
        await self.pause(attempts, error)

  async def stream(self, method: Method, request: Any,
                   deadline: Deadline) -> AsyncGenerator[Any, None]:
    """The messages that answer the request, of which a caller has seen none
    when it is tried again: after the first, a failure is final."""
    attempts = Attempts(self.policy, deadline)
    begun = False
    while True:
      messages = self.stream_once(method, request, deadline)
      try:
        async for message in messages:
          begun = True
          yield message
        return
      except Error as error:
        if begun:
          raise
        await self.pause(attempts, error)
      finally:
        await messages.aclose()

  async def stream_once(self, method: Method, request: Any,
                        deadline: Deadline) -> AsyncGenerator[Any, None]:
    """One attempt. Whoever closes the generator cancels the call."""
    call = self._callable(method, stream=True)(
        request, timeout=deadline.for_grpc(),
        metadata=self._connection.metadata)
    try:
      async for message in call:
        yield message
    except grpc.aio.AioRpcError as failure:
      raise error_of(failure, self._connection.address) from None
    finally:
      call.cancel()  # Of no effect on a call that has ended.

  async def pause(self, attempts: Attempts, error: Error) -> None:
    """Waits for the next attempt; raises the error if there is to be none."""
    delay = attempts.delay_after(error)
    if delay is None:
      raise error
    self._on_retry(error, delay)
    await asyncio.sleep(delay)

  async def close(self) -> None:
    """Cancels what is in flight. Calling it twice is as good as once."""
    self._closed = True
    if self._channel is not None:
      await self._channel.close()

  def check_open(self) -> None:
    if self._closed:
      raise RuntimeError(f'the client of {self._connection.address} is closed')

  async def _unary_once(self, method: Method, request: Any,
                        deadline: Deadline) -> Any:
    call = self._callable(method, stream=False)(
        request, timeout=deadline.for_grpc(),
        metadata=self._connection.metadata)
    try:
      return await call
    except grpc.aio.AioRpcError as failure:
      raise error_of(failure, self._connection.address) from None

  def _callable(self, method: Method, stream: bool) -> Any:
    channel = self._open_channel()
    if method.path not in self._callables:
      make = channel.unary_stream if stream else channel.unary_unary
      self._callables[method.path] = make(
          method.path, request_serializer=method.request.SerializeToString,
          response_deserializer=method.response.FromString)
    return self._callables[method.path]

  def _open_channel(self) -> grpc.aio.Channel:
    """On the first call rather than before, when no event loop may run yet."""
    self.check_open()
    loop = asyncio.get_running_loop()
    if self._channel is None:
      self._loop = loop
      if self._connection.credentials is None:
        self._channel = grpc.aio.insecure_channel(self._connection.address,
                                                  self._connection.options)
      else:
        self._channel = grpc.aio.secure_channel(
            self._connection.address, self._connection.credentials,
            self._connection.options)
    elif self._loop is not loop:
      raise RuntimeError(
          f'the client of {self._connection.address} belongs to another event '
          'loop: make one for each loop')
    return self._channel


class AsyncEventStream(Generic[Event]):
  """An asynchronous iterator over what a server sends, as it comes.

  A loop that is left early should be told so by `aclose`, or by using the
  stream in an `async with` statement: it ends the call, and the server stops
  the work.
  """

  def __init__(self, events: AsyncGenerator[Event, None]) -> None:
    self._events = events

  def __aiter__(self) -> AsyncIterator[Event]:
    return self

  async def __anext__(self) -> Event:
    return await self._events.__anext__()

  async def aclose(self) -> None:
    """Ends the call, if it has not ended. Nothing more comes."""
    await self._events.aclose()

  async def __aenter__(self) -> AsyncEventStream[Event]:
    return self

  async def __aexit__(self, error_type: Optional[Type[BaseException]],
                      error: Optional[BaseException],
                      traceback: Optional[TracebackType]) -> None:
    await self.aclose()
