"""What a real server logs: every line a JSON object, every call one of them.

Run by CTest, or by hand:
  python access_log_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan \
      --model_root=build/release/tests/integration/tiny_models
"""

import argparse
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import grpc

from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SECRET = 'cd2d2b7a-a-token-that-nobody-may-read'
TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

options = None  # Set by main().


def http_code(server, path):
  try:
    with urllib.request.urlopen(f'http://{server.http_address}{path}',
                                timeout=10) as reply:
      return reply.status
  except urllib.error.HTTPError as error:
    return error.code


class AccessLogTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    (cls.pb, cls.images_grpc, cls.model_pb,
     cls.models_grpc) = generate_stubs(REPOSITORY / 'proto')

  def start(self, *flags):
    server = ServerProcess(
        options.server, options.model_root,
        ['--log_format=json', '--log_level=debug', '--warmup=ends',
         '--admin_listen=127.0.0.1:0', *flags])
    self.addCleanup(server.close)
    channel = grpc.insecure_channel(server.grpc_address)
    self.addCleanup(channel.close)
    return server, self.images_grpc.ImageGenerationStub(channel)

  def stop_and_read(self, server):
    """Every line of the log; the calls among them."""
    self.assertEqual(server.terminate(), 0)
    lines = [json.loads(line) for line in server.log().splitlines()]
    self.assertGreater(len(lines), 5)
    for line in lines:
      self.assertIsInstance(line, dict)
      self.assertRegex(line['time'], r'^\d{4}-\d\d-\d\dT[\d:.]{12}Z$')
      self.assertIn('event' if 'message' not in line else 'message', line)
    self.assertNotIn(SECRET, server.log())
    self.assertEqual(lines[-1].get('message'), 'stopped')
    return [line for line in lines if line.get('event') == 'call']

  def call(self, images, metadata=(), **fields):
    """The call's code and trailers."""
    try:
      _, call = images.Generate.with_call(
          self.pb.GenerateRequest(**fields), timeout=120,
          metadata=[('authorization', f'Bearer {SECRET}'), *metadata])
    except grpc.RpcError as error:
      call = error
    return call.code(), dict(call.trailing_metadata())

  def test_every_line_is_an_object_whatever_callers_send(self):
    server, images = self.start()
    names = ['x', 'a\nb', '{"level":"info"}', '\x1b[2J\x00\x7f', '\u202egnp.',
             '\u2028', '\U0001f600' * 16, '"\\', 'a=b c=d']
    for name in names:
      code, _ = self.call(images, model=name, count=1)
      self.assertEqual(code, grpc.StatusCode.NOT_FOUND)
    code, _ = self.call(images, [('ddgan-client-id', '~' * 65)], count=1)
    self.assertNotEqual(code, grpc.StatusCode.OK)
    code, _ = self.call(images, count=65)
    self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
    code, trailers = self.call(
        images, [('traceparent', TRACE), ('tracestate', 'vendor=1')],
        count=2, seed=2**64 - 1)
    self.assertEqual(code, grpc.StatusCode.OK)
    self.assertEqual(trailers['traceparent'][:36], TRACE[:36])
    self.assertEqual(trailers['tracestate'], 'vendor=1')

    calls = self.stop_and_read(server)
    self.assertEqual([call['model'] for call in calls[:len(names)]], names)
    self.assertEqual({call['code'] for call in calls[:len(names)]},
                     {'NOT_FOUND'})
    good = calls[-1]
    self.assertEqual(good['code'], 'OK')
    self.assertEqual(good['seed'], str(2**64 - 1))
    self.assertEqual(good['trace_id'], TRACE[3:35])
    self.assertEqual(good['parent_id'], TRACE[36:52])
    self.assertEqual(good['request_id'], trailers['traceparent'][36:52])
    self.assertGreater(good['steps_s'], 0)
    self.assertGreaterEqual(
        good['total_s'], good['queue_s'] + good['steps_s'])
    self.assertGreater(good['reply_bytes'], 100)
    self.assertEqual(len({call['request_id'] for call in calls}), len(calls))

  def test_hostile_traces_are_ignored(self):
    server, images = self.start()
    hostile = ['', 'x', TRACE.upper(), TRACE[:-1], TRACE + '-', 'ff' + TRACE[2:],
               TRACE.replace('4bf9', '"} {'),
               '00-' + '0' * 32 + '-00f067aa0ba902b7-01', '0' * 5000]
    for value in hostile:
      code, trailers = self.call(
          images, [('traceparent', value), ('tracestate', 'vendor=1')], count=1)
      self.assertEqual(code, grpc.StatusCode.OK)
      self.assertRegex(trailers['traceparent'],
                       r'^00-[0-9a-f]{32}-[0-9a-f]{16}-00$')
      self.assertNotIn(TRACE[3:35], trailers['traceparent'])
      self.assertNotIn('tracestate', trailers)
    calls = self.stop_and_read(server)
    self.assertEqual(len(calls), len(hostile))
    for call in calls:
      self.assertNotIn('parent_id', call)

  def test_only_errors_or_nothing_if_so_asked(self):
    for level, codes in (('errors', ['INVALID_ARGUMENT']), ('none', [])):
      server, images = self.start(f'--access_log={level}')
      self.call(images, count=1)
      self.call(images, count=0)
      calls = self.stop_and_read(server)
      self.assertEqual([call['code'] for call in calls], codes)

  def test_calls_that_a_token_check_turned_away_have_a_line(self):
    tokens = tempfile.NamedTemporaryFile('w', suffix='.json')
    self.addCleanup(tokens.close)
    json.dump({'tenants': [{'name': 'reader', 'tokens': [
        {'sha256': hashlib.sha256(SECRET.encode()).hexdigest(),
         'scopes': ['read']}]}]}, tokens)
    tokens.flush()
    server, images = self.start(f'--token_file={tokens.name}')
    for authorization in ([], [('authorization', f'Bearer {SECRET}x')],
                          [('authorization', f'Bearer {SECRET}')]):
      with self.assertRaises(grpc.RpcError):
        images.Generate(self.pb.GenerateRequest(count=1), timeout=30,
                        metadata=[('traceparent', TRACE), *authorization])
    calls = self.stop_and_read(server)
    self.assertEqual([(call['method'], call['code']) for call in calls],
                     [('Generate', 'UNAUTHENTICATED'),
                      ('Generate', 'UNAUTHENTICATED'),
                      ('Generate', 'PERMISSION_DENIED')])
    for call in calls:
      self.assertEqual(call['trace_id'], TRACE[3:35])
    self.assertIn('reader', calls[-1]['error'])
    self.assertEqual(len({call['request_id'] for call in calls}), len(calls))

  def start_unread(self, *flags):
    """A server that nobody reads the log of: its stderr is a full pipe."""
    reader, writer = os.pipe()
    self.addCleanup(os.close, reader)
    os.set_blocking(writer, False)
    with self.assertRaises(BlockingIOError):
      while True:
        os.write(writer, b'.')
    os.set_blocking(writer, True)
    server = ServerProcess(
        options.server, options.model_root,
        ['--log_level=debug', '--warmup=ends', *flags], stderr=writer)
    os.close(writer)
    self.addCleanup(server.close)
    return server

  def test_a_log_that_nobody_reads_holds_up_neither_calls_nor_a_stop(self):
    server = self.start_unread()
    with grpc.insecure_channel(server.grpc_address) as channel:
      images = self.images_grpc.ImageGenerationStub(channel)
      for count in (1, 0, 1):
        code, _ = self.call(images, count=count)
        self.assertEqual(code, grpc.StatusCode.OK if count
                         else grpc.StatusCode.INVALID_ARGUMENT)
    self.assertEqual(server.terminate(), 0)

  def test_a_log_that_nobody_reads_does_not_hold_up_a_second_signal(self):
    server = self.start_unread('--drain_delay=10m')
    os.kill(server.pid, signal.SIGTERM)
    while http_code(server, '/readyz') == 200:
      time.sleep(0.01)
    self.assertEqual(server.terminate(), 1)

  def test_the_client_changes_models_on_the_admin_port(self):
    server, _ = self.start()
    channel = grpc.insecure_channel(server.admin_address)
    self.addCleanup(channel.close)
    models = self.models_grpc.ModelServiceStub(channel).ListModels(
        self.model_pb.ListModelsRequest(), timeout=30).models
    model = models[0].name
    version = str(models[0].versions[0].version)

    def pin(address):
      return subprocess.run(
          [options.client, 'models', 'pin', model, version,
           f'--server={address}'],
          capture_output=True, text=True, timeout=60, check=False)

    refused = pin(server.grpc_address)
    self.assertNotEqual(refused.returncode, 0)
    self.assertIn('--admin_listen', refused.stderr)
    done = pin(server.admin_address)
    self.assertEqual(done.returncode, 0, done.stderr)
    calls = [call for call in self.stop_and_read(server)
             if call['method'] == 'PinVersion']
    self.assertEqual([(call['code'], call['model'], str(call['version']))
                      for call in calls],
                     [('UNIMPLEMENTED', model, version),
                      ('OK', model, version)])


def main():
  global options
  parser = argparse.ArgumentParser()
  parser.add_argument('--server', required=True)
  parser.add_argument('--client', required=True)
  parser.add_argument('--model_root', required=True)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest])


if __name__ == '__main__':
  main()
