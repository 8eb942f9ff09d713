"""The client for asyncio."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, AsyncGenerator, List, Literal, Optional, Type, Union
from typing import overload

import numpy as np
import numpy.typing as npt
import PIL.Image

from ddgan import _arguments
from ddgan import _progress
from ddgan import _protocol
from ddgan import _replies
from ddgan import _versions
from ddgan._arguments import Ask
from ddgan._arguments import GuideFit
from ddgan._arguments import OutputType
from ddgan._arguments import RequestClass
from ddgan._async_calls import AsyncCalls
from ddgan._async_calls import AsyncEventStream
from ddgan._async_models import AsyncModels
from ddgan._batches import Parts
from ddgan._client import Client
from ddgan._connection import Tls
from ddgan._errors import Error
from ddgan._events import Accepted
from ddgan._events import StreamEvent
from ddgan._guide import GuidePicture
from ddgan._pictures import Generation
from ddgan._progress import Progress
from ddgan._progress import Report
from ddgan._replies import Reply
from ddgan._replies import StreamReader
from ddgan._retry import Attempts
from ddgan._retry import Deadline
from ddgan._retry import RetryPolicy
from ddgan._settings import ClientBase
from ddgan._settings import documented_as
from ddgan._settings import OnRetry
from ddgan._versions import HealthStatus


class AsyncClient(ClientBase):
  """One server, for asyncio. The same names as Client's.

      async with ddgan.AsyncClient('localhost:50051') as client:
        images = await client.generate(count=16, seed=7)

  An asynchronous context manager, which closes it. It belongs to the event loop
  of its first call; any number of tasks may call it at once, on one connection.
  Cancelling a task ends its call, in the server too.
  """

  def __init__(
      self, address: Optional[str] = None, *, model: Optional[str] = None,
      timeout: float = 300.0, retry: Optional[RetryPolicy] = None,
      tls: Union[bool, Tls] = False, token: Optional[str] = None,
      token_file: Union[str, 'os.PathLike[str]', None] = None,
      token_without_tls: bool = False, client_id: Optional[str] = None,
      on_retry: Optional[OnRetry] = None) -> None:
    super().__init__(
        address, model=model, timeout=timeout, retry=retry, tls=tls,
        token=token, token_file=token_file,
        token_without_tls=token_without_tls, client_id=client_id,
        on_retry=on_retry)
    self._calls = AsyncCalls(self._settings.connection, self._settings.retry,
                             self._settings.note_retry)
    # Which versions there are, and which of them serves.
    self.models = AsyncModels(self._calls, self._settings)

  @overload
  async def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: Literal['pil'] = 'pil',
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None
  ) -> Generation[List[PIL.Image.Image]]: ...

  @overload
  async def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: Literal['np'],
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None
  ) -> Generation[npt.NDArray[np.float32]]: ...

  @overload
  async def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: Literal['png'],
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None) -> Generation[List[bytes]]: ...

  @documented_as(Client.generate)
  async def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: OutputType = 'pil',
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None) -> Generation[Any]:
    ask = _arguments.check_ask(
        count=count, model=self._settings.model(model), version=version,
        seed=seed, first_index=first_index, output_type=output_type,
        request_class=request_class, guide=guide, guide_steps=guide_steps,
        guide_fit=guide_fit)
    whole = self._settings.whole_deadline(timeout)
    parts = Parts(ask)
    replies: List[Reply] = []
    with _progress.reporting(progress, ask.count) as report:
      for part in parts:
        deadline = whole or self._settings.deadline()
        if report is None:
          try:
            reply = _replies.read_reply(part, await self._calls.unary(
                _protocol.GENERATE, _replies.generate_request(part), deadline))
          except Error as error:
            if parts.shrinks(error):
              continue
            raise
        else:
          reply = await self._watch_part(part, deadline, report,
                                         part.first_index - ask.first_index)
        parts.hold(reply.accepted)
        replies.append(reply)
    return _replies.join(replies)

  @documented_as(Client.stream)
  def stream(
      self, count: int = 1, *, previews: bool = False,
      model: Optional[str] = None, version: Optional[int] = None,
      seed: Optional[int] = None, first_index: int = 0,
      output_type: OutputType = 'pil', guide: Optional[GuidePicture] = None,
      guide_steps: Optional[int] = None, guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive',
      timeout: Optional[float] = None) -> AsyncEventStream[StreamEvent]:
    ask = _arguments.check_ask(
        count=count, model=self._settings.model(model), version=version,
        seed=seed, first_index=first_index, output_type=output_type,
        request_class=request_class, guide=guide, guide_steps=guide_steps,
        guide_fit=guide_fit)
    whole = self._settings.whole_deadline(timeout)
    self._calls.check_open()
    return AsyncEventStream(self._stream(ask, bool(previews), whole))

  @documented_as(Client.health)
  async def health(self, service: str = '', *,
                   timeout: Optional[float] = None) -> HealthStatus:
    return _versions.read_health(await self._calls.unary(
        _protocol.HEALTH_CHECK, _protocol.HEALTH_CHECK.request(service=service),
        self._settings.deadline(timeout)))

  async def close(self) -> None:
    """Ends the connection. Calls of other tasks are cancelled."""
    await self._calls.close()

  async def __aenter__(self) -> AsyncClient:
    return self

  async def __aexit__(self, error_type: Optional[Type[BaseException]],
                      error: Optional[BaseException],
                      traceback: Optional[TracebackType]) -> None:
    await self.close()

  async def _stream(self, ask: Ask, previews: bool, whole: Optional[Deadline]
                    ) -> AsyncGenerator[StreamEvent, None]:
    parts = Parts(ask)
    for part in parts:
      reader = StreamReader(part)
      async with AsyncEventStream(self._calls.stream(
          _protocol.GENERATE_STREAM, _replies.stream_request(part, previews),
          whole or self._settings.deadline())) as messages:
        async for message in messages:
          event = reader.take(message)
          if isinstance(event, Accepted):
            parts.hold(event)
          yield event
      reader.finish()

  async def _watch_part(self, part: Ask, deadline: Deadline, report: Report,
                        done_before: int) -> Reply:
    """As Client's."""
    attempts = Attempts(self._settings.retry, deadline)
    while True:
      reader = StreamReader(part)
      report(done_before)
      try:
        async with AsyncEventStream(self._calls.stream_once(
            _protocol.GENERATE_STREAM, _replies.stream_request(part, False),
            deadline)) as messages:
          async for message in messages:
            reader.take(message)
            report(done_before + reader.images_done)
        return reader.finish()
      except Error as error:
        await self._calls.pause(attempts, error)
