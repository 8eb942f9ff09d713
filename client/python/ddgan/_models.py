"""Which version of a model serves: client.models."""

from __future__ import annotations

import contextlib
from typing import Generator, Optional

import grpc

from ddgan import _arguments
from ddgan import _protocol
from ddgan import _versions
from ddgan._calls import Calls
from ddgan._calls import EventStream
from ddgan._errors import Error
from ddgan._errors import data_loss
from ddgan._retry import Deadline
from ddgan._settings import Settings
from ddgan._versions import Model
from ddgan._versions import ModelEvent
from ddgan._versions import ModelList
from ddgan._versions import ModelVersion
from ddgan._versions import VersionState


class Models:
  """The models of a server and which of their versions serve.

  `timeout` of each method: seconds for all of it, retries included; None: the
  client's.
  """

  def __init__(self, calls: Calls, settings: Settings) -> None:
    """Made by the client."""
    self._calls = calls
    self._settings = settings

  def list(self, *, timeout: Optional[float] = None) -> ModelList:
    """Every model with every version that the server knows of."""
    return _versions.read_models(self._calls.unary(
        _protocol.LIST_MODELS, _protocol.LIST_MODELS.request(),
        self._settings.deadline(timeout)))

  def get(self, model: str, *, timeout: Optional[float] = None) -> Model:
    """One of them. NOT_FOUND if the server has no such model."""
    request = _protocol.GET_MODEL.request(
        model=_arguments.name('model', model))
    response = self._calls.unary(
        _protocol.GET_MODEL, request, self._settings.deadline(timeout))
    return _versions.read_model(response.model)

  def pin(self, model: str, version: int, *, wait: bool = True,
          timeout: Optional[float] = None) -> ModelVersion:
    """From now on this version serves the requests that name none, and no newer
    one takes its place until `unpin`.

    Args:
      model: Name of the model, 1 to 64 bytes.
      version: Version to pin, in [1, 2**63 - 1].
      wait: Whether to wait until the version is live. One that is not loaded is
        read and tried out first, which takes seconds, while the one before goes
        on serving. Without waiting, the version is returned as it is now.

    Raises:
      Error: FAILED_PRECONDITION if the version is refused; NOT_FOUND if the
        server has no such model or version; ABORTED if somebody pins another
        one meanwhile; DEADLINE_EXCEEDED if the version is not live in time, in
        which case it stays pinned. Others as proto/ddgan/v1/model.proto says.
    """
    request = _protocol.PIN_VERSION.request(
        model=_arguments.name('model', model),
        version=_arguments.integer('version', version, 1,
                                   _arguments.MAX_VERSION))
    deadline = self._settings.deadline(timeout)
    response = self._calls.unary(
        _protocol.PIN_VERSION, request, deadline)
    pinned = _versions.read_version(response.version)
    return self._await_live(model, pinned, deadline) if wait else pinned

  def unpin(self, model: str, *, timeout: Optional[float] = None) -> Model:
    """The newest sound version is to be live again, and newer ones as they
    come. No error if none is pinned. Returns the model as it is just after."""
    request = _protocol.UNPIN_VERSION.request(
        model=_arguments.name('model', model))
    response = self._calls.unary(
        _protocol.UNPIN_VERSION, request, self._settings.deadline(timeout))
    return _versions.read_model(response.model)

  def rollback(self, model: str, *, wait: bool = True,
               timeout: Optional[float] = None) -> ModelVersion:
    """Pins the newest loaded version that is older than the live one, else the
    newest on disk that is not refused.

    Called twice it goes back two versions, so a call that fails is not tried
    again: `get` shows what has become of it. Otherwise as `pin`.

    Raises:
      Error: FAILED_PRECONDITION if there is no older version.
    """
    request = _protocol.ROLL_BACK.request(
        model=_arguments.name('model', model))
    deadline = self._settings.deadline(timeout)
    response = self._calls.unary(
        _protocol.ROLL_BACK, request, deadline, may_retry=False)
    pinned = _versions.read_version(response.version)
    return self._await_live(model, pinned, deadline) if wait else pinned

  def watch(
      self, *, timeout: Optional[float] = None) -> EventStream[ModelEvent]:
    """Every model first, then each one that changes (a Model) or goes (a
    ModelRemoved), as it happens.

    Args:
      timeout: Seconds after which it ends with DEADLINE_EXCEEDED; None: never.
    """
    return EventStream(self._watch(self._settings.watch_deadline(timeout)))

  def _watch(self, deadline: Deadline) -> Generator[ModelEvent, None, None]:
    with contextlib.closing(self._calls.stream(
        _protocol.WATCH_MODELS, _protocol.WATCH_MODELS.request(),
        deadline)) as messages:
      for message in messages:
        yield _versions.read_event(message)
    raise data_loss('the watch ended without reason')

  def _await_live(self, model: str, pinned: ModelVersion,
                  deadline: Deadline) -> ModelVersion:
    if pinned.state == VersionState.LIVE:
      return pinned
    try:
      with EventStream(self._watch(deadline)) as events:
        for event in events:
          live = _versions.pin_outcome(model, pinned.version, event)
          if live is not None:
            return live
    except Error as error:
      if error.code == grpc.StatusCode.DEADLINE_EXCEEDED:
        raise _versions.not_live_yet(model, pinned.version) from None
      raise
    raise AssertionError('a watch ends with an Error')
