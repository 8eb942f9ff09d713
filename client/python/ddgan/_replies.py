"""Requests to messages, and messages to images, each checked against what was
asked for. Pure.

A reply from elsewhere (a proxy, a server of another version) must not be taken
for the images. What does not fit is DATA_LOSS.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ddgan import _protocol
from ddgan._arguments import Ask
from ddgan._errors import data_loss
from ddgan._events import Accepted
from ddgan._events import StreamEvent
from ddgan._events import Summary
from ddgan._pictures import Generation
from ddgan._pictures import Image
from ddgan._pictures import Preview
from ddgan._pictures import Shape
from ddgan._pictures import Timings


class Reply(NamedTuple):
  """The answer to one call."""

  accepted: Accepted
  images: Tuple[Image, ...]  # By ascending index.
  timings: Timings


def generate_request(ask: Ask) -> Any:
  layout = 'FLOAT32' if ask.output_type == 'np' else 'PNG'
  request = _protocol.GENERATE.request(
      model=ask.model, count=ask.count, first_index=ask.first_index,
      format=_protocol.enum_number('OutputFormat', f'OUTPUT_FORMAT_{layout}'),
      request_class=_protocol.enum_number(
          'RequestClass', f'REQUEST_CLASS_{ask.request_class.upper()}'))
  if ask.version is not None:
    request.version = ask.version
  if ask.seed is not None:
    request.seed = ask.seed
  if ask.guide is not None:
    request.guide.png = ask.guide.png
    request.guide.steps = ask.guide.steps
    request.guide.fit = _protocol.enum_number(
        'GuideFit', f'GUIDE_FIT_{ask.guide.fit.upper()}')
  return request


def stream_request(ask: Ask, previews: bool) -> Any:
  return _protocol.GENERATE_STREAM.request(
      request=generate_request(ask), previews=previews)


def read_reply(ask: Ask, response: Any) -> Reply:
  """What a Generate call answered."""
  if len(response.images) != ask.count:
    raise data_loss(f'the reply holds {len(response.images)} images; asked for '
                    f'{ask.count}')
  accepted = _accepted(response)
  for i, image in enumerate(response.images):
    if image.index != ask.first_index + i:
      raise data_loss(f"the reply's image {i} has index {image.index}; wanted "
                      f'{ask.first_index + i}')
  images = tuple(Image(**_picture(ask, accepted, image))
                 for image in response.images)
  return Reply(accepted, images, _timings(response.timings))


class StreamReader:
  """The events of one GenerateStream call, in the order in which they come."""

  def __init__(self, ask: Ask) -> None:
    self._ask = ask
    self._accepted: Optional[Accepted] = None
    self._summary: Optional[Summary] = None
    self._images: Dict[int, Image] = {}

  @property
  def accepted(self) -> bool:
    return self._accepted is not None

  @property
  def images_done(self) -> int:
    return len(self._images)

  def take(self, message: Any) -> StreamEvent:
    """The event that a message brings."""
    kind = message.WhichOneof('event')
    if ((kind == 'accepted') == self.accepted or self._summary is not None):
      raise data_loss(f'the stream brings the event {kind} out of order')
    if self._accepted is None:
      self._accepted = _accepted(message.accepted)
      return self._accepted
    if kind == 'preview':
      return Preview(steps_left=message.preview.step,
                     **self._next_picture(message.preview))
    if kind == 'image':
      image = Image(**self._next_picture(message.image))
      self._images[image.index] = image
      return image
    if kind == 'summary':
      self._summary = Summary(
          message.summary.images, message.summary.previews_sent,
          message.summary.previews_dropped, _timings(message.summary.timings))
      return self._summary
    raise data_loss(f'the stream brings the event {kind} out of order')

  def _next_picture(self, picture: Any) -> Dict[str, Any]:
    position = picture.index - self._ask.first_index
    if not 0 <= position < self._ask.count or picture.index in self._images:
      raise data_loss(f'the stream brings image {picture.index}, which was not '
                      'asked for or has come before')
    assert self._accepted is not None
    return _picture(self._ask, self._accepted, picture)

  def finish(self) -> Reply:
    """All of it, after a stream that the server ended with OK."""
    missing = self._ask.count - len(self._images)
    if self._accepted is None or self._summary is None or missing > 0:
      raise data_loss(
          f'the stream ended without {missing} of the {self._ask.count} images'
          + ('' if self._summary else ' and without a summary'))
    images = [self._images[index] for index in sorted(self._images)]
    return Reply(self._accepted, tuple(images), self._summary.timings)


def join(replies: List[Reply]) -> Generation[Any]:
  """The images of all calls of a request; at least one."""
  first = replies[0].accepted
  return Generation(
      [image for reply in replies for image in reply.images],
      first.num_timesteps, first.evaluations,
      Timings(*(sum(spans)
                for spans in zip(*(reply.timings for reply in replies)))))


def _accepted(message: Any) -> Accepted:
  """Of a GenerateResponse or a StreamAccepted."""
  shape = Shape(message.shape.channels, message.shape.height,
                message.shape.width)
  if shape.channels not in (1, 3) or 0 in shape:
    raise data_loss(f'the reply says images of {shape.width}x{shape.height} '
                    f'with {shape.channels} channels')
  queue: Dict[str, Any] = {}
  if 'images_ahead' in message.DESCRIPTOR.fields_by_name:
    queue['images_ahead'] = message.images_ahead
    if message.HasField('expected_start'):
      queue['expected_start'] = _seconds(message.expected_start)
  return Accepted(message.model, message.version, message.checkpoint_digest,
                  message.seed, shape, message.num_timesteps,
                  message.evaluations, **queue)


def _picture(ask: Ask, accepted: Accepted, picture: Any) -> Dict[str, Any]:
  """The fields of an Image or Preview. PNG files are not looked into."""
  channels, height, width = accepted.shape
  wanted = 4 * channels * height * width
  if ask.output_type == 'np' and len(picture.data) != wanted:
    raise data_loss(f'image {picture.index} has {len(picture.data)} bytes, '
                    f'which is not {width}x{height} with {channels} channels')
  return {
      'model': accepted.model,
      'version': accepted.version,
      'digest': accepted.digest,
      'seed': accepted.seed,
      'index': picture.index,
      'steps': ask.guide.steps if ask.guide else accepted.evaluations,
      'shape': accepted.shape,
      'data': picture.data,
      'output_type': ask.output_type,
  }


def _timings(message: Any) -> Timings:
  return Timings(_seconds(message.queue), _seconds(message.steps),
                 _seconds(message.encode))


def _seconds(duration: Any) -> float:
  return float(duration.seconds + duration.nanos / 1e9)
