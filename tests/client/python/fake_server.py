"""A gRPC server in this process, on a free port of the loopback, that answers
as a ddgan-server would, with made-up pixels. Tests script its failures and look
at what it was asked. Thread-safe.
"""

import collections
import concurrent.futures
import struct
import threading

import grpc

from ddgan import _protocol

MODEL = 'mnist'
VERSION = 3
DRAWN_SEED = 4242  # For requests without one.
DIGEST = 'ab' * 32
STEPS = 4
CHANNELS, HEIGHT, WIDTH = 1, 2, 2
# For what the test has caused to happen, on the slowest machine.
LIMIT_S = 60

Failure = collections.namedtuple('Failure', 'code details pushback')
Failure.__new__.__defaults__ = ('on purpose', None)


class FakeServer:
  """As a context manager it also ends."""

  def __init__(self):
    self._lock = threading.Lock()
    self._changed = threading.Condition(self._lock)
    self._released = threading.Event()
    self._released.set()
    self.failures = collections.deque()  # Of the next calls, one by one.
    self.tamper = lambda message: None  # Changes each message that is sent.
    # How streams end, after so many of their messages.
    self.stream_break = None
    self.serving = 1
    self.pinned_state = 'MODEL_VERSION_STATE_LIVE'
    self.watch_events = []  # Then the watch goes on until its caller leaves,
    self.watch_end = None  # or ends so.
    self._requests = []
    self._metadata = []
    self._time_remaining = []
    self._controls = []
    self._left = 0
    # Enough for every call that a test holds at once.
    self._server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(max_workers=16),
        options=[('grpc.so_reuseport', 0)])
    for service, methods in (
        ('ddgan.v1.ImageGeneration',
         [(_protocol.GENERATE, self._generate),
          (_protocol.GENERATE_STREAM, self._generate_stream)]),
        ('ddgan.v1.ModelService',
         [(_protocol.LIST_MODELS, self._list_models),
          (_protocol.GET_MODEL, self._get_model),
          (_protocol.PIN_VERSION, self._pin),
          (_protocol.UNPIN_VERSION, self._unpin),
          (_protocol.ROLL_BACK, self._roll_back),
          (_protocol.WATCH_MODELS, self._watch)]),
        ('grpc.health.v1.Health', [(_protocol.HEALTH_CHECK, self._health)])):
      handlers = {}
      for method, function in methods:
        streams = method in (_protocol.GENERATE_STREAM, _protocol.WATCH_MODELS)
        make = (grpc.unary_stream_rpc_method_handler if streams
                else grpc.unary_unary_rpc_method_handler)
        handlers[method.path.split('/')[2]] = make(
            function, request_deserializer=method.request.FromString,
            response_serializer=method.response.SerializeToString)
      self._server.add_generic_rpc_handlers(
          [grpc.method_handlers_generic_handler(service, handlers)])
    self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
    self._server.start()

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    self.close()

  def close(self):
    self.release()
    self._server.stop(0).wait(LIMIT_S)

  def hold(self):
    """From now on no call is answered until release()."""
    self._released.clear()

  def release(self):
    self._released.set()

  def requests(self):
    """What Generate and GenerateStream were asked, failed ones included."""
    with self._lock:
      return list(self._requests)

  def metadata(self):
    """That of the last Generate or GenerateStream call."""
    with self._lock:
      return self._metadata[-1]

  def time_remaining(self):
    """Until the deadline, of each call that was asked."""
    with self._lock:
      return list(self._time_remaining)

  def controls(self):
    """Calls that control models: 'pin mnist 4', 'watch' and the like."""
    with self._lock:
      return list(self._controls)

  def await_requests(self, count):
    self._await(lambda: len(self._requests) >= count)

  def await_callers_that_left(self, count):
    """Calls that were cancelled, or whose connection was lost."""
    self._await(lambda: self._left >= count)

  def _await(self, condition):
    with self._changed:
      if not self._changed.wait_for(condition, LIMIT_S):
        raise AssertionError(f'not after {LIMIT_S} s: {len(self._requests)} '
                             f'requests, {self._left} left')

  def _note(self, context, request):
    answered, over = self._begin(context)
    with self._changed:
      self._requests.append(request)
      self._metadata.append(dict(context.invocation_metadata()))
      self._time_remaining.append(context.time_remaining())
      self._changed.notify_all()
    while not self._released.is_set() and not over.is_set():
      over.wait(0.01)
    with self._lock:
      failure = self.failures.popleft() if self.failures else None
    if failure:
      answered.set()
      self._fail(context, failure)
    return answered

  def _fail(self, context, failure):
    if failure.pushback is not None:
      context.set_trailing_metadata(
          [('grpc-retry-pushback-ms', failure.pushback)])
    context.abort(failure.code, failure.details)

  def _begin(self, context):
    """What to set once a call has been answered; one that ends before was left
    by its caller."""
    answered, over = threading.Event(), threading.Event()

    def end():
      over.set()
      if not answered.is_set():
        with self._changed:
          self._left += 1
          self._changed.notify_all()

    if not context.add_callback(end):
      end()
    return answered, over

  def _generate(self, request, context):
    answered = self._note(context, request)
    reply = _protocol.GENERATE.response()
    self._describe(reply, request)
    for i in range(request.count):
      reply.images.add(index=request.first_index + i,
                       data=pixels(reply.seed, request.first_index + i))
    reply.timings.steps.nanos = 250_000_000
    self.tamper(reply)
    answered.set()
    return reply

  def _describe(self, message, request):
    message.model = request.model or MODEL
    message.version = request.version or VERSION
    message.checkpoint_digest = DIGEST
    message.seed = request.seed if request.HasField('seed') else DRAWN_SEED
    message.num_timesteps = message.evaluations = STEPS
    message.shape.channels = CHANNELS
    message.shape.height = HEIGHT
    message.shape.width = WIDTH

  def _generate_stream(self, stream_request, context):
    request = stream_request.request
    answered = self._note(context, request)
    for number, message in enumerate(self._events(stream_request)):
      if self.stream_break and number == self.stream_break[0]:
        failure = self.stream_break[1]
        self.stream_break = None
        answered.set()
        self._fail(context, failure)
      self.tamper(message)
      yield message
    answered.set()

  def _events(self, stream_request):
    request = stream_request.request
    message = _protocol.GENERATE_STREAM.response()
    self._describe(message.accepted, request)
    message.accepted.images_ahead = 5
    message.accepted.expected_start.nanos = 500_000_000
    yield message
    seed = message.accepted.seed
    # The last first: a stream is in any order of index.
    for i in reversed(range(request.count)):
      index = request.first_index + i
      if stream_request.previews:
        message = _protocol.GENERATE_STREAM.response()
        message.preview.index = index
        message.preview.step = 1
        message.preview.data = pixels(seed, index)
        yield message
      message = _protocol.GENERATE_STREAM.response()
      message.image.index = index
      message.image.data = pixels(seed, index)
      yield message
    message = _protocol.GENERATE_STREAM.response()
    message.summary.images = request.count
    message.summary.timings.steps.nanos = 250_000_000
    yield message

  def _control(self, context, text):
    with self._lock:
      self._controls.append(text)
      failure = self.failures.popleft() if self.failures else None
    if failure:
      self._fail(context, failure)

  def _list_models(self, request, context):
    self._control(context, 'list')
    reply = _protocol.LIST_MODELS.response(strays=['a stray'])
    reply.models.append(model())
    return reply

  def _get_model(self, request, context):
    self._control(context, f'get {request.model}')
    return _protocol.GET_MODEL.response(model=model())

  def _pin(self, request, context):
    self._control(context, f'pin {request.model} {request.version}')
    return _protocol.PIN_VERSION.response(
        version={'version': request.version, 'state': self.pinned_state})

  def _unpin(self, request, context):
    self._control(context, f'unpin {request.model}')
    return _protocol.UNPIN_VERSION.response(model=model())

  def _roll_back(self, request, context):
    self._control(context, f'roll back {request.model}')
    return _protocol.ROLL_BACK.response(
        version={'version': VERSION - 1, 'state': self.pinned_state})

  def _watch(self, request, context):
    self._control(context, 'watch')
    answered, over = self._begin(context)
    for event in self.watch_events:
      yield event
    if self.watch_end:
      answered.set()
      self._fail(context, self.watch_end)
    over.wait()

  def _health(self, request, context):
    self._control(context, f'health {request.service}')
    return _protocol.HEALTH_CHECK.response(status=self.serving)


def pixels(seed, index):
  """float32 of an image, which depend on its seed and index."""
  values = [0.25, -1.0, seed % 1000 / 1000, index % 1000 / 1000]
  return struct.pack('<4f', *values)


def model(live=VERSION, pinned=None, state='MODEL_VERSION_STATE_LIVE',
          reason='', version=VERSION):
  """A message that tells of one version of MODEL."""
  message = _protocol.GET_MODEL.response().model
  message.name = MODEL
  listed = message.versions.add(version=version, reason=reason, evaluations=4,
                                checkpoint_digest=DIGEST, num_timesteps=4)
  listed.state = _protocol.enum_number('ModelVersionState', state)
  listed.loaded_at.seconds, listed.loaded_at.nanos = 1_700_000_000, 500_000_000
  if live is not None:
    message.live_version = live
  if pinned is not None:
    message.pinned_version = pinned
  return message


def model_event(message):
  return _protocol.WATCH_MODELS.response(model=message)


def removed_event(name):
  return _protocol.WATCH_MODELS.response(removed_model=name)
