"""Traces of a real server, as a collector gets them.

Run by CTest, or by hand:
  python traces_test.py --server=build/release/server/ddgan-server \
      --model_root=build/release/tests/integration/tiny_models
"""

import argparse
import collections
import concurrent.futures
import io
import pathlib
import socket
import sys
import tempfile
import time
import unittest

import grpc
from opentelemetry.proto.trace.v1 import trace_pb2
from PIL import Image
from PIL import ImageDraw

from certificates import Authority
from otlp_collector import Collector
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CALL = 'ddgan.v1.ImageGeneration/Generate'
STREAM = 'ddgan.v1.ImageGeneration/GenerateStream'
TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
PARENT_ID = '00f067aa0ba902b7'
SAMPLED = f'00-{TRACE_ID}-{PARENT_ID}-01'
NOT_SAMPLED = f'00-{TRACE_ID}-{PARENT_ID}-00'
STEPS = 4  # Of the model, for each image.

options = None  # Set by main().


def attributes(spans, name):
  return [span.attributes[name] for span in spans]


class TracesTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.pb, cls.images_grpc, _, _ = generate_stubs(REPOSITORY / 'proto')

  def collect(self):
    collector = Collector()
    self.addCleanup(collector.close)
    return collector

  def start(self, endpoint, *flags, **environment):
    """One lane, whose batches hold a call of four images."""
    server = ServerProcess(
        options.server, options.model_root,
        [f'--otlp_endpoint={endpoint}', '--devices=cpu', '--max_batch_size=4',
         '--warmup=ends', '--access_log=none', *flags],
        environment=environment)
    self.addCleanup(server.close)
    channel = grpc.insecure_channel(server.grpc_address)
    self.addCleanup(channel.close)
    return server, self.images_grpc.ImageGenerationStub(channel)

  def call(self, images, traceparent=None, count=1, **fields):
    """The call's code, and the traceparent of its trailers."""
    metadata = [('traceparent', traceparent)] if traceparent else []
    try:
      _, call = images.Generate.with_call(
          self.pb.GenerateRequest(count=count, **fields), timeout=120,
          metadata=metadata)
    except grpc.RpcError as error:
      call = error
    return call.code(), dict(call.trailing_metadata()).get('traceparent')

  def stop_and_read(self, server, collector):
    """Every span: what waits is sent when the server stops."""
    self.assertEqual(server.terminate(), 0, server.log())
    return collector.spans()

  def tree(self, spans, call):
    """The spans below `call`, by name, each in the order of its start."""
    below = collections.defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
      if span.trace_id == call.trace_id and span is not call:
        self.assertEqual(span.parent_id, call.span_id)
        self.assertEqual(span.kind, trace_pb2.Span.SPAN_KIND_INTERNAL)
        self.assertGreaterEqual(span.start, call.start)
        self.assertLessEqual(span.end, call.end)
        self.assertLessEqual(span.start, span.end)
        below[span.name].append(span)
    return below

  def only(self, spans, name):
    found = [span for span in spans if span.name == name]
    self.assertEqual(len(found), 1, [span.name for span in spans])
    return found[0]

  def test_a_call_of_four_images_is_a_tree(self):
    collector = self.collect()
    server, images = self.start(collector.address)
    code, told = self.call(images, SAMPLED, count=4, seed=7)
    self.assertEqual(code, grpc.StatusCode.OK)
    spans = self.stop_and_read(server, collector)

    call = self.only(spans, CALL)
    self.assertEqual(call.trace_id, TRACE_ID)
    self.assertEqual(call.parent_id, PARENT_ID)
    self.assertEqual(told, f'00-{TRACE_ID}-{call.span_id}-01')
    self.assertEqual(call.kind, trace_pb2.Span.SPAN_KIND_SERVER)
    self.assertEqual(call.status, trace_pb2.Status.STATUS_CODE_UNSET)
    self.assertEqual(call.attributes['rpc.system'], 'grpc')
    self.assertEqual(call.attributes['rpc.service'], 'ddgan.v1.ImageGeneration')
    self.assertEqual(call.attributes['rpc.method'], 'Generate')
    self.assertEqual(call.attributes['rpc.grpc.status_code'], 0)
    self.assertEqual(call.attributes['ddgan.count'], 4)
    self.assertEqual(call.resource['service.name'], 'ddgan-server')
    self.assertRegex(call.resource['service.version'], r'^\d+\.\d+\.\d+')
    self.assertRegex(call.resource['service.instance.id'],
                     r'^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-'
                     r'[89ab][0-9a-f]{3}-[0-9a-f]{12}$')

    below = self.tree(spans, call)
    self.assertEqual({name: len(found) for name, found in below.items()},
                     {'admission': 1, 'queue': 1, 'step': STEPS, 'encode': 4,
                      'write': 1})
    steps = below['step']
    for left, step in zip(range(STEPS - 1, -1, -1), steps):
      self.assertEqual(step.attributes['ddgan.lane'], 'cpu')
      self.assertEqual(step.attributes['ddgan.batch_size'], 4)
      self.assertEqual(sorted(step.attributes['ddgan.images']), [0, 1, 2, 3])
      self.assertEqual(step.attributes['ddgan.steps_left'], [left] * 4)
    self.assertEqual(sorted(attributes(below['encode'], 'ddgan.image')),
                     [0, 1, 2, 3])
    self.assertLessEqual(below['admission'][0].end, below['queue'][0].start)
    self.assertLessEqual(below['queue'][0].end, steps[0].start)
    for before, after in zip(steps, steps[1:]):
      self.assertLessEqual(before.end, after.start)
    self.assertLessEqual(steps[-1].end, below['encode'][0].start)
    self.assertLessEqual(max(span.end for span in below['encode']),
                         below['write'][0].start)

    batches = {span.identity: span for span in spans if span.name == 'batch'}
    self.assertEqual(len(spans), 1 + 1 + 1 + STEPS + 4 + 1 + STEPS)
    self.assertEqual(len({trace for trace, _ in batches}), STEPS)
    for step in steps:
      self.assertEqual(len(step.links), 1)
      batch = batches.pop(step.links[0])
      self.assertEqual(batch.parent_id, '')
      self.assertEqual(batch.links, [call.identity])
      self.assertEqual(batch.attributes['ddgan.batch_size'], 4)
      self.assertEqual(batch.attributes['ddgan.traced_rows'], 4)
      self.assertAlmostEqual(batch.end - batch.start, step.end - step.start,
                             delta=1000)  # Rounding.

  def test_a_batch_that_calls_share_links_to_each_of_them(self):
    collector = self.collect()
    # An image whose call comes first is held back for the other call's.
    server, images = self.start(collector.address, '--max_batch_wait=1s')
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
      shared = 0
      while not shared:  # A busy machine may bring the other too late.
        ended = list(pool.map(lambda _: self.call(images, count=2), range(2)))
        self.assertEqual([code for code, _ in ended],
                         [grpc.StatusCode.OK] * 2)
        metrics = Metrics(server)
        shared = (metrics.sum('ddgan_step_batch_size_count') -
                  metrics.sum('ddgan_step_batch_size_bucket', le='2'))
    spans = self.stop_and_read(server, collector)

    calls = {span.identity: span for span in spans if span.name == CALL}
    batches = [span for span in spans if span.name == 'batch'
               and span.attributes['ddgan.batch_size'] > 2]
    self.assertEqual(len(batches), shared)
    for batch in batches:
      size = batch.attributes['ddgan.batch_size']
      self.assertEqual(batch.attributes['ddgan.traced_rows'], size)
      self.assertEqual(len(set(batch.links)), 2)
      self.assertEqual(len(batch.links), 2)
      steps = [span for span in spans if span.name == 'step'
               and span.links == [batch.identity]]
      self.assertEqual(sorted((step.trace_id, step.parent_id)
                              for step in steps), sorted(batch.links))
      self.assertLessEqual(set(batch.links), set(calls))
      self.assertEqual(attributes(steps, 'ddgan.batch_size'), [size] * 2)
      self.assertEqual(
          sum(len(of_call) for of_call in attributes(steps, 'ddgan.images')),
          size)

  def test_a_guided_call_shows_its_guide_and_the_steps_from_there(self):
    picture = Image.new('RGB', (50, 30), (40, 60, 90))
    ImageDraw.Draw(picture).line([(0, 0), picture.size], (230, 200, 20), 4)
    png = io.BytesIO()
    picture.save(png, 'PNG')
    guide = self.pb.Guide(png=png.getvalue(), steps=2,
                          fit=self.pb.GUIDE_FIT_RESIZE)
    collector = self.collect()
    server, images = self.start(collector.address)
    code, _ = self.call(images, SAMPLED, count=2, guide=guide)
    self.assertEqual(code, grpc.StatusCode.OK)
    spans = self.stop_and_read(server, collector)
    below = self.tree(spans, self.only(spans, CALL))
    self.assertEqual({name: len(found) for name, found in below.items()},
                     {'admission': 1, 'guide': 1, 'queue': 1, 'step': 2,
                      'encode': 2, 'write': 1})
    self.assertEqual(attributes(below['step'], 'ddgan.steps_left'),
                     [[1, 1], [0, 0]])
    for before, after in (('admission', 'guide'), ('guide', 'queue'),
                          ('queue', 'step')):
      self.assertLessEqual(below[before][0].end, below[after][0].start)

  def test_a_stream_writes_each_message_and_encodes_previews(self):
    collector = self.collect()
    server, images = self.start(collector.address)
    stream = images.GenerateStream(
        self.pb.GenerateStreamRequest(
            request=self.pb.GenerateRequest(count=2), previews=True),
        timeout=120)
    messages = [message.WhichOneof('event') for message in stream]
    spans = self.stop_and_read(server, collector)
    call = self.only(spans, STREAM)
    self.assertEqual(call.parent_id, '')
    below = self.tree(spans, call)
    # The last write is the status.
    self.assertEqual(len(below['write']), len(messages) + 1)
    self.assertEqual(len(below['step']), STEPS)
    previews = [span for span in below['encode']
                if 'ddgan.preview_step' in span.attributes]
    self.assertEqual(len(below['encode']) - len(previews), 2)
    self.assertGreaterEqual(len(previews), messages.count('preview'))

  def test_the_caller_decides_of_its_trace_and_the_ratio_of_others(self):
    for ratio, begun in ((1, '01'), (0, '00')):
      collector = self.collect()
      server, images = self.start(collector.address, f'--trace_ratio={ratio}')
      _, told = self.call(images, NOT_SAMPLED)
      self.assertRegex(told, f'^00-{TRACE_ID}-[0-9a-f]{{16}}-00$')
      _, told = self.call(images)
      self.assertRegex(told, f'^00-[0-9a-f]{{32}}-[0-9a-f]{{16}}-{begun}$')
      _, sampled = self.call(images, SAMPLED)
      spans = self.stop_and_read(server, collector)
      wanted = {(sampled[3:35], sampled[36:52])}
      if ratio == 1:
        wanted.add((told[3:35], told[36:52]))
      calls = [span for span in spans if span.name == CALL]
      self.assertEqual({span.identity for span in calls}, wanted)
      self.assertEqual(len([span for span in spans if span.name == 'batch']),
                       STEPS * len(wanted))

  def test_a_refused_call_has_no_steps(self):
    collector = self.collect()
    server, images = self.start(collector.address)
    code, _ = self.call(images, count=65)
    self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
    spans = self.stop_and_read(server, collector)
    call = self.only(spans, CALL)
    self.assertEqual(call.attributes['rpc.grpc.status_code'], 3)
    self.assertEqual(call.status, trace_pb2.Status.STATUS_CODE_UNSET)
    self.assertEqual(sorted(span.name for span in spans),
                     sorted([CALL, 'admission', 'write']))

  def test_names_that_were_cut_amid_a_character_lose_no_spans(self):
    collector = self.collect()
    server, images = self.start(collector.address)
    self.call(images)
    code, _ = self.call(images, model='x' + '\U0001f600' * 100)
    self.assertNotEqual(code, grpc.StatusCode.OK)
    spans = self.stop_and_read(server, collector)
    self.assertEqual(len([span for span in spans if span.name == CALL]), 2)

  def test_spans_that_were_taken_are_counted(self):
    collector = self.collect()
    server, images = self.start(collector.address)
    self.call(images)
    while not (taken := Metrics(server).sum('ddgan_trace_spans_total',
                                            result='exported')):
      time.sleep(0.05)
    self.assertEqual(taken, len(collector.spans()))
    for lost in ('failed', 'queue_full'):
      self.assertEqual(Metrics(server).sum('ddgan_trace_spans_total',
                                           result=lost), 0)

  def test_calls_are_good_without_a_collector_and_its_spans_are_counted(self):
    with socket.socket() as nobody:
      nobody.bind(('127.0.0.1', 0))  # And does not listen.
      server, images = self.start(f'127.0.0.1:{nobody.getsockname()[1]}')
      for _ in range(3):
        self.assertEqual(self.call(images)[0], grpc.StatusCode.OK)
      # Spans of a call: itself, admission, queue, encode and write; of each
      # step its own and the batch's.
      wanted = 3 * (5 + 2 * STEPS)
      while Metrics(server).sum('ddgan_trace_spans_total',
                                result='failed') < wanted:
        time.sleep(0.05)
      self.assertEqual(self.call(images)[0], grpc.StatusCode.OK)
      self.assertEqual(server.terminate(), 0)
      self.assertIn('takes no spans', server.log())

  def test_a_collector_that_hangs_holds_up_neither_calls_nor_the_stop(self):
    with socket.socket() as hung:
      hung.bind(('127.0.0.1', 0))
      hung.listen()  # And never accepts.
      server, images = self.start(f'127.0.0.1:{hung.getsockname()[1]}')
      for _ in range(3):
        self.assertEqual(self.call(images)[0], grpc.StatusCode.OK)
      self.assertEqual(server.terminate(), 0)

  def test_spans_go_over_tls_to_a_collector_whose_authority_is_known(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    known, stranger = (Authority(folder.name, name)
                       for name in ('known', 'stranger'))
    collector = Collector(*known.sign('localhost'))
    self.addCleanup(collector.close)
    for authority, reaches in ((known, True), (stranger, False)):
      before = len(collector.spans())
      server, images = self.start(f'localhost:{collector.port}',
                                  f'--otlp_tls_ca={authority.pem}')
      self.assertEqual(self.call(images)[0], grpc.StatusCode.OK)
      spans = self.stop_and_read(server, collector)
      self.assertEqual(len(spans) > before, reaches)

  def test_a_collector_on_the_loopback_is_not_called_through_a_proxy(self):
    collector = self.collect()
    server, images = self.start(collector.address, no_proxy='',
                                http_proxy='http://127.0.0.1:1')
    self.call(images)
    self.only(self.stop_and_read(server, collector), CALL)

  def test_variables_of_opentelemetry_add_to_the_resource_and_to_calls(self):
    collector = self.collect()
    server, images = self.start(
        collector.address, OTEL_SERVICE_NAME='painter',
        OTEL_RESOURCE_ATTRIBUTES='deployment.environment=test',
        OTEL_EXPORTER_OTLP_HEADERS='Api-Key=secret',
        OTEL_EXPORTER_OTLP_ENDPOINT='http://127.0.0.1:1',
        OTEL_EXPORTER_OTLP_TIMEOUT='1ms')
    self.call(images)
    resource = self.only(self.stop_and_read(server, collector), CALL).resource
    self.assertEqual(resource['service.name'], 'painter')
    self.assertEqual(resource['deployment.environment'], 'test')
    self.assertIn(('api-key', 'secret'), collector.metadata())


def main():
  global options
  parser = argparse.ArgumentParser()
  parser.add_argument('--server', required=True)
  parser.add_argument('--model_root', required=True)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest])


if __name__ == '__main__':
  main()
