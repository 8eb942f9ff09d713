"""The callers of a soak: what they ask for, how they misbehave, what they got.

Everything runs on one asyncio loop. A call is compared with the quiet server's
bytes as it comes, so that no image is kept.
"""

import asyncio
import collections
import dataclasses
import hashlib
import itertools
import os
import time

import grpc

from soak import judgement

MODEL = 'tiny'
SEEDS = 2
MAX_COUNT = 16
GUIDED_COUNT = 8
GUIDE_STEPS = 2
FORMATS = ('png', 'raw8', 'float32')
# A call that takes longer than this on the busiest machine hangs.
CALL_LIMIT_S = 120
CALLERS = 3

# How often each kind comes.
WEIGHTS = {'unary': 50, 'guided': 6, 'cancelled': 12, 'short deadline': 6,
           'stream': 12, 'cancelled stream': 8, 'slow reader': 4,
           'slow reader leaves': 2}
STREAMS = {'stream', 'cancelled stream', 'slow reader', 'slow reader leaves'}
SLOW = {'slow reader', 'slow reader leaves'}


@dataclasses.dataclass(frozen=True)
class Plan:
  """One call to come."""
  kind: str
  seed: int
  first_index: int
  count: int
  image_format: str
  patience_s: float  # Until a caller leaves; a slow one's pause per message.


def plans(draw):
  """Without end; one of each kind first, so that a short soak has them all."""
  for kind in WEIGHTS:
    yield plan_of(kind, draw)
  while True:
    yield plan_of(*draw.choices(list(WEIGHTS), list(WEIGHTS.values())), draw)


def plan_of(kind, draw):
  """`draw` is a random.Random."""
  if kind in SLOW:
    count, image_format = MAX_COUNT, 'float32'
    patience = draw.uniform(0.005, 0.03)
  elif kind == 'guided':
    count, image_format = draw.randint(1, GUIDED_COUNT), 'png'
    patience = 0
  else:
    count = draw.choice((1, 1, 2, 4, 8))
    image_format = draw.choice(FORMATS)
    patience = draw.uniform(0, 0.3)
  if kind in STREAMS:
    image_format = 'float32'  # Whose previews the quiet server was asked for.
  limit = GUIDED_COUNT if kind == 'guided' else MAX_COUNT
  return Plan(kind, draw.randrange(SEEDS), draw.randint(0, limit - count),
              count, image_format, patience)


def images_per_call(draw):
  """The mean, to turn a rate of images into one of calls."""
  return sum(plan.count for plan in itertools.islice(plans(draw), 1000)) / 1000


def request(pb, seed, first_index, count, image_format, guide_png=None):
  """A GenerateRequest; `guide_png` is the picture that it has as a guide."""
  return pb.GenerateRequest(
      model=MODEL, seed=seed, first_index=first_index, count=count,
      format=pb.OutputFormat.Value(f'OUTPUT_FORMAT_{image_format.upper()}'),
      guide=guide_png and pb.Guide(png=guide_png, steps=GUIDE_STEPS))


class Callers:
  """Calls a server with TLS. `quiet`: a quiet_bytes.Quiet that was asked."""

  def __init__(self, stubs, address, authority_pem, quiet, draw):
    self._pb, self._images_grpc, _, _ = stubs
    self._guide_png = quiet.guide_png
    self._address = address
    self._credentials = grpc.ssl_channel_credentials(authority_pem)
    self._draw = draw
    self._running = set()
    self._channel = self._connect()
    self._slow_channel = self._connect(
        ('grpc.http2.bdp_probe', 0), ('grpc.http2.lookahead_bytes', 4096))
    self.bytes = judgement.Bytes(quiet.expected)
    self.calls = []  # judgement.Call, by their beginning.
    self.broken = []  # Sentences on replies that were not whole.
    self.images = 0

  def _connect(self, *options):
    """On a connection of its own."""
    return grpc.aio.secure_channel(
        self._address, self._credentials,
        [('grpc.use_local_subchannel_pool', 1),
         ('grpc.ssl_target_name_override', 'localhost'),
         ('grpc.max_receive_message_length', 65 << 20), *options])

  @property
  def in_flight(self):
    return len(self._running)

  def ended(self):
    """How many calls ended with each code."""
    return collections.Counter(code for call in self.calls
                               for code in call.codes)

  async def measure_images_per_second(self, seconds, concurrency=4):
    """By calls of 8 images in a closed loop, which count like others."""
    async def loop(until):
      while time.monotonic() < until:
        await self._call(Plan('unary', 0, 0, 8, 'png', 0))
    before, begin = self.images, time.monotonic()
    await asyncio.gather(*(loop(begin + seconds) for _ in range(concurrency)))
    return (self.images - before) / (time.monotonic() - begin)

  async def call_at_random(self, rate, until):
    """Poisson arrivals, so many a second, whatever becomes of the calls."""
    due = time.monotonic()
    for plan in plans(self._draw):
      due += self._draw.expovariate(rate)
      if due > until:
        return
      await asyncio.sleep(max(0, due - time.monotonic()))
      task = asyncio.create_task(self._call(plan))
      self._running.add(task)
      task.add_done_callback(self._running.discard)

  async def renew_connection(self):
    """Later calls come by a new connection; the old one is closed when its
    calls have ended."""
    old, self._channel = self._channel, self._connect()
    if self._running:
      await asyncio.wait(set(self._running))
    await old.close()

  async def close(self):
    """Waits for the calls; those that do not end are given up."""
    if self._running:
      await asyncio.wait(self._running, timeout=CALL_LIMIT_S)
    await self._channel.close()
    await self._slow_channel.close()

  async def _call(self, plan):
    call = judgement.Call(os.urandom(16).hex(), plan.kind, time.monotonic())
    self.calls.append(call)
    arguments = {
        'timeout': CALL_LIMIT_S,
        'metadata': [
            ('traceparent', f'00-{call.trace_id}-{os.urandom(8).hex()}-01'),
            ('ddgan-client-id', f'caller-{self._draw.randrange(CALLERS)}')]}
    if plan.kind == 'short deadline':
      arguments['timeout'] = plan.patience_s
      call.left = True
    stub = self._images_grpc.ImageGenerationStub(
        self._slow_channel if plan.kind in SLOW else self._channel)
    wanted = request(self._pb, plan.seed, plan.first_index, plan.count,
                     plan.image_format,
                     self._guide_png if plan.kind == 'guided' else None)
    if plan.kind in STREAMS:
      rpc = stub.GenerateStream(
          self._pb.GenerateStreamRequest(request=wanted, previews=True),
          **arguments)
    else:
      rpc = stub.Generate(wanted, **arguments)
    if plan.kind in ('cancelled', 'cancelled stream'):
      asyncio.get_running_loop().call_later(plan.patience_s, self._leave, call,
                                            rpc)
    try:
      if plan.kind in STREAMS:
        await self._read(plan, call, rpc)
      else:
        self._take(plan, await rpc)
    except (grpc.RpcError, asyncio.CancelledError):
      pass  # The code says it.
    call.codes.append((await rpc.code()).name)
    call.ended_s = time.monotonic()
    for key, value in await rpc.trailing_metadata() or ():
      if key == 'traceparent':
        call.request_id = value[36:52]

  def _leave(self, call, rpc):
    if rpc.cancel():
      call.left = True

  def _see(self, plan, version, index, data, step=0):
    self.bytes.see((version, plan.seed, index, plan.image_format,
                    plan.kind == 'guided', step), hashlib.sha256(data).digest())

  def _take(self, plan, reply):
    indices = [image.index for image in reply.images]
    wanted = list(range(plan.first_index, plan.first_index + plan.count))
    if indices != wanted:
      self.broken.append(f'a reply brought the images {indices} in the place '
                         f'of {wanted}')
    self.images += len(indices)
    for image in reply.images:
      self._see(plan, reply.version, image.index, image.data)

  async def _read(self, plan, call, rpc):
    """The events of a stream, slowly if its reader is slow."""
    events = []
    version = None
    while (message := await rpc.read()) is not grpc.aio.EOF:
      name = message.WhichOneof('event')
      event = getattr(message, name)
      events.append((name, getattr(event, 'index', None)))
      if name == 'accepted':
        version = event.version
      elif name == 'image':
        self.images += 1
        self._see(plan, version, event.index, event.data)
      elif name == 'preview':
        self._see(plan, version, event.index, event.data, event.step)
      if plan.kind in SLOW:
        await asyncio.sleep(plan.patience_s)
        if plan.kind == 'slow reader leaves' and len(events) > plan.count:
          self._leave(call, rpc)
    if await rpc.code() == grpc.StatusCode.OK:
      self.broken += judgement.judge_stream(events, plan.first_index,
                                            plan.count)
