"""The client for programs and notebooks that wait for each call."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Any, Generator, List, Literal, Optional, Type, Union
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
from ddgan._batches import Parts
from ddgan._calls import Calls
from ddgan._calls import EventStream
from ddgan._connection import Tls
from ddgan._errors import Error
from ddgan._events import Accepted
from ddgan._events import StreamEvent
from ddgan._guide import GuidePicture
from ddgan._models import Models
from ddgan._pictures import Generation
from ddgan._progress import Progress
from ddgan._progress import Report
from ddgan._replies import Reply
from ddgan._replies import StreamReader
from ddgan._retry import Attempts
from ddgan._retry import Deadline
from ddgan._retry import RetryPolicy
from ddgan._settings import ClientBase
from ddgan._settings import OnRetry
from ddgan._versions import HealthStatus


class Client(ClientBase):
  """One server. Thread-safe: calls of several threads share one connection.

      with ddgan.Client('localhost:50051') as client:
        images = client.generate(count=16, seed=7)

  A context manager, which closes it. A call that fails raises `Error`, unless
  it is worth another attempt (`RetryPolicy`) within its timeout.
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
    self._calls = Calls(self._settings.connection, self._settings.retry,
                        self._settings.note_retry)
    # Which versions there are, and which of them serves.
    self.models = Models(self._calls, self._settings)

  @overload
  def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: Literal['pil'] = 'pil',
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None
  ) -> Generation[List[PIL.Image.Image]]: ...

  @overload
  def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: Literal['np'],
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None
  ) -> Generation[npt.NDArray[np.float32]]: ...

  @overload
  def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: Literal['png'],
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None) -> Generation[List[bytes]]: ...

  def generate(
      self, count: int = 1, *, model: Optional[str] = None,
      version: Optional[int] = None, seed: Optional[int] = None,
      first_index: int = 0, output_type: OutputType = 'pil',
      guide: Optional[GuidePicture] = None, guide_steps: Optional[int] = None,
      guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive', progress: Progress = False,
      timeout: Optional[float] = None) -> Generation[Any]:
    """Makes images, and returns them when all are done.

    An image depends on the version, the seed, its index and the guide alone, so
    whatever comes can be asked for again, in whole or in part. More than 64 are
    made by several calls, one after the other; the model, version and seed that
    the server chose for the first hold for all.

    Args:
      count: How many images, in [1, 2**32].
      model: Name of the model, 1 to 64 bytes. None: the client's, else the only
        one that the server has.
      version: Version of the model, in [1, 2**63 - 1]. None: the live one.
      seed: Seed of the noise, in [0, 2**64 - 1]; the images of a seed differ by
        their index. None: the server draws one, which the images tell.
      first_index: Index of the first image, in [0, 2**32 - 1], as is the last.
      output_type: What `.images` of the result is, as in diffusers. 'pil': PIL
        images. 'np': float32 [count, height, width, channels] in [0, 1]; then
        the images also have `.float32`, the generator's own output. 'png': PNG
        files as bytes.
      guide: A picture to start from (stroke-based synthesis), instead of noise
        alone: a PIL image; an array [height, width] or [height, width,
        channels] of uint8, or of floats in [0, 1]; the bytes or the path of a
        PNG, BMP, GIF, JPEG, PPM, TIFF or WebP file; or an image of this
        package. At most 2048 pixels wide and high, and 1 MiB as a PNG file.
      guide_steps: Denoising steps to run from the guide, from 1, which stays
        close to it, to the model's `evaluations`, which leaves it behind.
        Needed with a guide.
      guide_fit: What to do with a guide that has not the model's size. 'refuse'
        fails with INVALID_ARGUMENT; 'resize' stretches it.
      request_class: 'interactive' if somebody waits for it; 'batch' takes what
        the others leave.
      progress: True shows a progress bar, which needs tqdm; or a function that
        is called with how many images are done and how many were asked for.
      timeout: Seconds for all of it, retries included, above 0. None: the
        client's timeout, for each 64 images.

    Returns:
      The images by ascending index: a sequence of `Image`.

    Raises:
      TypeError, ValueError: an argument cannot be right; the message names it
        and its range. Nothing was sent.
      Error: the call failed; proto/ddgan/v1/image_generation.proto lists the
        server's codes.
    """
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
            reply = _replies.read_reply(part, self._calls.unary(
                _protocol.GENERATE, _replies.generate_request(part), deadline))
          except Error as error:
            if parts.shrinks(error):
              continue
            raise
        else:
          reply = self._watch_part(part, deadline, report,
                                   part.first_index - ask.first_index)
        parts.hold(reply.accepted)
        replies.append(reply)
    return _replies.join(replies)

  def stream(
      self, count: int = 1, *, previews: bool = False,
      model: Optional[str] = None, version: Optional[int] = None,
      seed: Optional[int] = None, first_index: int = 0,
      output_type: OutputType = 'pil', guide: Optional[GuidePicture] = None,
      guide_steps: Optional[int] = None, guide_fit: GuideFit = 'refuse',
      request_class: RequestClass = 'interactive',
      timeout: Optional[float] = None) -> EventStream[StreamEvent]:
    """Makes images, and brings each as soon as it is done.

    For each call of at most 64 images: one `Accepted`, then previews and images
    in any order of index, then one `Summary`. A reader that is slow loses
    previews, never images. A call is tried again only before its `Accepted`;
    images that came before a failure stay good. Close the stream, or leave its
    `with` block, to end it early: the server stops the work.

    Args:
      previews: Whether to also bring what each image looks like after each of
        its steps but the last.

    The other arguments and the errors are those of `generate`.

    Returns:
      An iterator over `Accepted`, `Preview`, `Image` and `Summary`.
    """
    ask = _arguments.check_ask(
        count=count, model=self._settings.model(model), version=version,
        seed=seed, first_index=first_index, output_type=output_type,
        request_class=request_class, guide=guide, guide_steps=guide_steps,
        guide_fit=guide_fit)
    whole = self._settings.whole_deadline(timeout)
    self._calls.check_open()
    return EventStream(self._stream(ask, bool(previews), whole))

  def health(self, service: str = '', *,
             timeout: Optional[float] = None) -> HealthStatus:
    """Whether the server serves, by the standard health protocol.

    Args:
      service: A full name such as 'ddgan.v1.ImageGeneration'; empty: the server
        as a whole.
      timeout: Seconds, retries included; None: the client's.

    Raises:
      Error: NOT_FOUND if the server does not know the service.
    """
    return _versions.read_health(self._calls.unary(
        _protocol.HEALTH_CHECK, _protocol.HEALTH_CHECK.request(service=service),
        self._settings.deadline(timeout)))

  def close(self) -> None:
    """Ends the connection. Calls of other threads end with CANCELLED."""
    self._calls.close()

  def __enter__(self) -> Client:
    return self

  def __exit__(self, error_type: Optional[Type[BaseException]],
               error: Optional[BaseException],
               traceback: Optional[TracebackType]) -> None:
    self.close()

  def _stream(self, ask: Ask, previews: bool, whole: Optional[Deadline]
              ) -> Generator[StreamEvent, None, None]:
    parts = Parts(ask)
    for part in parts:
      reader = StreamReader(part)
      with contextlib.closing(self._calls.stream(
          _protocol.GENERATE_STREAM, _replies.stream_request(part, previews),
          whole or self._settings.deadline())) as messages:
        for message in messages:
          event = reader.take(message)
          if isinstance(event, Accepted):
            parts.hold(event)
          yield event
      reader.finish()

  def _watch_part(self, part: Ask, deadline: Deadline, report: Report,
                  done_before: int) -> Reply:
    """As a Generate call, but reports each image. Since nobody sees an image
    before all are there, a stream that fails is tried again as a whole."""
    attempts = Attempts(self._settings.retry, deadline)
    while True:
      reader = StreamReader(part)
      report(done_before)
      try:
        with contextlib.closing(self._calls.stream_once(
            _protocol.GENERATE_STREAM, _replies.stream_request(part, False),
            deadline)) as messages:
          for message in messages:
            reader.take(message)
            report(done_before + reader.images_done)
        return reader.finish()
      except Error as error:
        self._calls.pause(attempts, error)
