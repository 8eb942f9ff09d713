"""What a server says of its models, as ModelService of proto/ tells it."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Any, List, Optional, Tuple, Union

import grpc

from ddgan._errors import Error
from ddgan._pictures import Shape


class VersionState(enum.Enum):
  """What has become of a version.

  Attributes:
    UNKNOWN: What a newer server says and this package does not know.
    LIVE: Serves requests that name no version, and those that name it.
    REFUSED: Broken or not fit to serve; `reason` says why.
    ON_DISK: Not loaded: older than those that are kept loaded, or newer than
      the pinned one.
    LOADING: Being read, warmed up and tried out.
    WAITING: Could not be loaded for a reason that may pass; tried again after a
      while.
    LOADED: Loaded, but not live; serves requests that name it.
  """

  UNKNOWN = 0
  LIVE = 1
  REFUSED = 2
  ON_DISK = 3
  LOADING = 4
  WAITING = 5
  LOADED = 6

  @classmethod
  def _missing_(cls, value: object) -> VersionState:
    return cls.UNKNOWN


class HealthStatus(enum.Enum):
  """What the standard health protocol says of a service."""

  UNKNOWN = 0
  SERVING = 1
  NOT_SERVING = 2

  @classmethod
  def _missing_(cls, value: object) -> HealthStatus:
    return cls.UNKNOWN


@dataclasses.dataclass(frozen=True)
class ModelVersion:
  """One version of a model. From `shape` on, the attributes are None, 0 or
  empty unless the version is LIVE or LOADED.

  Attributes:
    version: 1 or more; larger is newer.
    state: What has become of it.
    reason: Why it is REFUSED or WAITING; what is wrong with the files of one
      that is LIVE or LOADED, if they have changed since. Otherwise empty.
    digest: SHA-256 of its manifest.json, 64 hexadecimal digits. Empty if it is
      not known.
    shape: Channels, height and width of its images in pixels.
    num_timesteps: Denoising steps of the diffusion process (T), 1 to 1000.
    evaluations: Evaluations of the generator per image, 1 to 1999.
    training_step: Optimiser steps after which the weights were taken.
    dataset: What the model was trained on, as the trainer named it.
    loaded_at: When the server had loaded the version, in UTC.
  """

  version: int
  state: VersionState
  reason: str
  digest: str
  shape: Optional[Shape]
  num_timesteps: int
  evaluations: int
  training_step: int
  dataset: str
  loaded_at: Optional[datetime.datetime]


@dataclasses.dataclass(frozen=True)
class Model:
  """A model with every version that the server knows of.

  Attributes:
    name: What `generate` takes as `model`.
    versions: Newest, that is largest, version first.
    live_version: The version that serves requests which name none. None if none
      does.
    pinned_version: The version that was pinned. While it is not the live one,
      it is yet to be loaded, or refused, or gone. None if none is pinned.
  """

  name: str
  versions: Tuple[ModelVersion, ...]
  live_version: Optional[int]
  pinned_version: Optional[int]

  @property
  def live(self) -> Optional[ModelVersion]:
    """The live version, if there is one."""
    return self.find(self.live_version)

  def find(self, version: Optional[int]) -> Optional[ModelVersion]:
    """The version of this number, if the server knows it."""
    return next((one for one in self.versions if one.version == version), None)


@dataclasses.dataclass(frozen=True)
class ModelRemoved:
  """A model that was told before, and is there no longer."""

  name: str


ModelEvent = Union[Model, ModelRemoved]


class ModelList(List[Model]):
  """The models of a server, by ascending name.

  Attributes:
    strays: What in the model directory looks like a version and is not taken
      for one, a sentence each; at most 17.
  """

  strays: Tuple[str, ...] = ()


def read_models(response: Any) -> ModelList:
  """Of a ListModelsResponse."""
  models = ModelList(map(read_model, response.models))
  models.strays = tuple(response.strays)
  return models


def read_model(message: Any) -> Model:
  return Model(
      message.name, tuple(map(read_version, message.versions)),
      message.live_version if message.HasField('live_version') else None,
      message.pinned_version if message.HasField('pinned_version') else None)


def read_version(message: Any) -> ModelVersion:
  shape = loaded_at = None
  if message.HasField('shape'):
    shape = Shape(message.shape.channels, message.shape.height,
                  message.shape.width)
  if message.HasField('loaded_at'):
    loaded_at = (
        datetime.datetime.fromtimestamp(message.loaded_at.seconds,
                                        datetime.timezone.utc)
        + datetime.timedelta(microseconds=message.loaded_at.nanos // 1000))
  return ModelVersion(
      message.version, VersionState(message.state), message.reason,
      message.checkpoint_digest, shape, message.num_timesteps,
      message.evaluations, message.training_step, message.dataset, loaded_at)


def read_event(message: Any) -> ModelEvent:
  """Of a WatchModelsResponse."""
  if message.WhichOneof('event') == 'model':
    return read_model(message.model)
  return ModelRemoved(message.removed_model)


def read_health(response: Any) -> HealthStatus:
  return HealthStatus(response.status)


def pin_outcome(name: str, version: int,
                event: ModelEvent) -> Optional[ModelVersion]:
  """Whether the pin of `version`, which the server has taken, is in force by
  what it says now: the version once it is live; None while that is open. Pure.

  FAILED_PRECONDITION if it is refused, NOT_FOUND if it is gone, ABORTED if
  somebody has pinned another one meanwhile, or none.
  """
  if event.name != name:
    return None
  if isinstance(event, ModelRemoved):
    raise Error(grpc.StatusCode.NOT_FOUND, f'{name} is gone')
  listed = event.find(version)
  if event.live_version == version and listed is not None:
    return listed
  if event.pinned_version != version:
    now = ('taken the pin back' if event.pinned_version is None
           else f'pinned {event.pinned_version}')
    raise Error(grpc.StatusCode.ABORTED, f'{name} {version} is not pinned any '
                f'more: somebody has {now}')
  if listed is None:
    raise Error(grpc.StatusCode.NOT_FOUND, f'{name} {version} is gone')
  if listed.state == VersionState.REFUSED:
    raise Error(grpc.StatusCode.FAILED_PRECONDITION,
                f'{name} {version} is refused: {listed.reason}')
  return None


def not_live_yet(name: str, version: int) -> Error:
  """The time to wait for a pinned version is over."""
  return Error(grpc.StatusCode.DEADLINE_EXCEEDED, f'{name} {version} is not '
               'live yet, but stays pinned; models.watch() shows how it goes '
               'on')
