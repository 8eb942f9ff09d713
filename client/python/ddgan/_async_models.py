"""Which version of a model serves: client.models, for asyncio."""

from __future__ import annotations

from typing import AsyncGenerator, Optional

import grpc

from ddgan import _arguments
from ddgan import _protocol
from ddgan import _versions
from ddgan._async_calls import AsyncCalls
from ddgan._async_calls import AsyncEventStream
from ddgan._errors import Error
from ddgan._errors import data_loss
from ddgan._models import Models
from ddgan._retry import Deadline
from ddgan._settings import Settings
from ddgan._settings import documented_as
from ddgan._versions import Model
from ddgan._versions import ModelEvent
from ddgan._versions import ModelList
from ddgan._versions import ModelVersion
from ddgan._versions import VersionState


class AsyncModels:
  """As Models of Client."""

  def __init__(self, calls: AsyncCalls, settings: Settings) -> None:
    """Made by the client."""
    self._calls = calls
    self._settings = settings

  @documented_as(Models.list)
  async def list(self, *, timeout: Optional[float] = None) -> ModelList:
    return _versions.read_models(await self._calls.unary(
        _protocol.LIST_MODELS, _protocol.LIST_MODELS.request(),
        self._settings.deadline(timeout)))

  @documented_as(Models.get)
  async def get(self, model: str, *, timeout: Optional[float] = None) -> Model:
    request = _protocol.GET_MODEL.request(
        model=_arguments.name('model', model))
    response = await self._calls.unary(
        _protocol.GET_MODEL, request, self._settings.deadline(timeout))
    return _versions.read_model(response.model)

  @documented_as(Models.pin)
  async def pin(self, model: str, version: int, *, wait: bool = True,
                timeout: Optional[float] = None) -> ModelVersion:
    request = _protocol.PIN_VERSION.request(
        model=_arguments.name('model', model),
        version=_arguments.integer('version', version, 1,
                                   _arguments.MAX_VERSION))
    deadline = self._settings.deadline(timeout)
    response = await self._calls.unary(
        _protocol.PIN_VERSION, request, deadline)
    pinned = _versions.read_version(response.version)
    return await self._await_live(model, pinned, deadline) if wait else pinned

  @documented_as(Models.unpin)
  async def unpin(self, model: str, *,
                  timeout: Optional[float] = None) -> Model:
    request = _protocol.UNPIN_VERSION.request(
        model=_arguments.name('model', model))
    response = await self._calls.unary(
        _protocol.UNPIN_VERSION, request, self._settings.deadline(timeout))
    return _versions.read_model(response.model)

  @documented_as(Models.rollback)
  async def rollback(self, model: str, *, wait: bool = True,
                     timeout: Optional[float] = None) -> ModelVersion:
    request = _protocol.ROLL_BACK.request(
        model=_arguments.name('model', model))
    deadline = self._settings.deadline(timeout)
    response = await self._calls.unary(
        _protocol.ROLL_BACK, request, deadline, may_retry=False)
    pinned = _versions.read_version(response.version)
    return await self._await_live(model, pinned, deadline) if wait else pinned

  @documented_as(Models.watch)
  def watch(
      self, *, timeout: Optional[float] = None) -> AsyncEventStream[ModelEvent]:
    return AsyncEventStream(self._watch(self._settings.watch_deadline(timeout)))

  async def _watch(self,
                   deadline: Deadline) -> AsyncGenerator[ModelEvent, None]:
    async with AsyncEventStream(self._calls.stream(
        _protocol.WATCH_MODELS, _protocol.WATCH_MODELS.request(),
        deadline)) as messages:
      async for message in messages:
        yield _versions.read_event(message)
    raise data_loss('the watch ended without reason')

  async def _await_live(self, model: str, pinned: ModelVersion,
                        deadline: Deadline) -> ModelVersion:
    if pinned.state == VersionState.LIVE:
      return pinned
    try:
      async with AsyncEventStream(self._watch(deadline)) as events:
        async for event in events:
          live = _versions.pin_outcome(model, pinned.version, event)
          if live is not None:
            return live
    except Error as error:
      if error.code == grpc.StatusCode.DEADLINE_EXCEEDED:
        raise _versions.not_live_yet(model, pinned.version) from None
      raise
    raise AssertionError('a watch ends with an Error')
