"""The server against hostile and clumsy callers, by real attacks.

The program is the real one but for its engine, which draws pictures in no time:
what is attacked is the server. Attackers come from addresses of the loopback
other than the good callers'.

Run by CTest, or by hand:
  python limits_test.py \
      --server=build/release/tests/server/ddgan_server_with_fake_engine
Prints what it measured: memory, and the latency of good calls.
"""

import argparse
import math
import os
import pathlib
import resource
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

import grpc

import raw_http2
from raw_http2 import RawHttp2
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LIMIT_S = 60  # For what happens soon.
ATTACK_LIMIT_S = 240  # For thousands of it.
HELD_S = 20  # How long thousands of silent connections stay.
ATTACKER = '127.0.0.2'
GENERATE = '/ddgan.v1.ImageGeneration/Generate'
STREAM = '/ddgan.v1.ImageGeneration/GenerateStream'

# What takes more than half a minute.
SLOW = ('ConnectionsTest.test_silent_half_open_and_slow_connections_are_closed_'
        'in_time',
        'ConnectionsTest.test_keepalive_of_a_waiting_client_is_no_attack_by_'
        'default',
        'SlowReadersTest')
QUICK = ('DescriptorsTest', 'HttpTest', 'SizesTest', 'StreamsTest',
         'ConnectionsTest.test_an_idle_or_old_connection_is_asked_to_leave',
         'ConnectionsTest.test_only_a_flood_of_pings_is_too_many')

options = None  # Set by main(), like the four modules.
pb = images_grpc = model_pb = models_grpc = None


class ModelRoot:
  """A folder that gives the fake engine's model a shape."""

  def __init__(self, shape):
    self._folder = tempfile.TemporaryDirectory(prefix='ddgan-models-')
    self.path = self._folder.name
    (pathlib.Path(self.path) / 'shape').write_text(shape)


SMALL = '3 32 32'
LARGE = '3 128 128'  # 64 of them are 3 MiB.


def start(*flags, shape=SMALL, binary=None):
  root = ModelRoot(shape)
  server = ServerProcess(binary or options.server, root.path, flags)
  server.root = root  # Kept for as long.
  return server


def limited_binary(folder, descriptors):
  """A program that starts the server with so many file descriptors."""
  path = pathlib.Path(folder) / 'server'
  path.write_text(f'#!/bin/sh\nulimit -n {descriptors}\n'
                  f'exec {options.server} "$@"\n')
  path.chmod(path.stat().st_mode | stat.S_IXUSR)
  return str(path)


def channel_to(server, **arguments):
  return grpc.insecure_channel(
      server.grpc_address,
      [('grpc.use_local_subchannel_pool', 1),
       ('grpc.max_receive_message_length', -1),
       ('grpc.initial_reconnect_backoff_ms', 100),
       ('grpc.max_reconnect_backoff_ms', 500),
       *((name.replace('__', '.'), value)
         for name, value in arguments.items())])


def generate(channel, count=4, **arguments):
  return images_grpc.ImageGenerationStub(channel).Generate(
      pb.GenerateRequest(count=count, seed=7), timeout=LIMIT_S, **arguments)


def request_bytes(count=64, stream=False):
  request = pb.GenerateRequest(count=count, seed=7,
                               format=pb.OUTPUT_FORMAT_RAW8)
  if stream:
    return pb.GenerateStreamRequest(request=request).SerializeToString()
  return request.SerializeToString()


def wait_for(server, wanted, description):
  """Metrics of which `wanted` is true."""
  deadline = time.monotonic() + LIMIT_S
  while True:
    metrics = Metrics(server)
    if wanted(metrics):
      return metrics
    if time.monotonic() > deadline:
      raise AssertionError(f'never: {description}')
    time.sleep(0.1)


class GoodCaller:
  """Calls one after the other on one connection, in a process of its own."""

  def __init__(self, server):
    self._process = subprocess.Popen(
        [sys.executable, __file__, f'--server={options.server}',
         f'--good_caller={server.grpc_address}'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    self._process.stdout.readline()  # After the first call.
    self.failures = 0
    self._calls = []  # (when it began, seconds that it took)

  def stop(self):
    output, _ = self._process.communicate('')
    if self._process.returncode != 0 or not output.strip():
      raise AssertionError('the good caller ended with '
                           f'{self._process.returncode}:\n{output}')
    for line in output.splitlines():
      begin_s, took_s, code = line.split()
      self._calls.append((float(begin_s), float(took_s)))
      self.failures += code != 'OK'

  def took_s(self, begin_s, end_s):
    """Of the calls that began in between, the shortest first."""
    return sorted(s for at, s in self._calls if begin_s <= at < end_s)

  def report(self, begin_s, end_s):
    took = self.took_s(begin_s, end_s)
    if not took:
      return f'no good call began within {end_s - begin_s:.1f} s'
    return (f'{len(took)} good calls: median {1000 * took[len(took) // 2]:.1f} '
            f'ms, p99 {1000 * took[math.ceil(0.99 * len(took)) - 1]:.1f} ms')


def call_until_told(address):
  """The process of a GoodCaller: once stdin ends, a line for each call."""
  stopping = threading.Event()

  def wait_for_end():
    sys.stdin.read()
    stopping.set()

  threading.Thread(target=wait_for_end, daemon=True).start()
  lines = []
  with grpc.insecure_channel(address) as channel:
    generate(channel)
    print('ready', flush=True)
    while not stopping.wait(0.002):
      begin = time.monotonic()
      code = 'OK'
      try:
        generate(channel)
      except grpc.RpcError as error:
        code = error.code().name
      lines.append(f'{begin} {time.monotonic() - begin} {code}')
  print('\n'.join(lines))


def is_closed(connection):
  """Whether the server closes the connection in time."""
  connection.settimeout(LIMIT_S)
  try:
    while connection.recv(4096):
      continue
    return True
  except ConnectionResetError:
    return True
  except TimeoutError:
    return False


class DescriptorsTest(unittest.TestCase):

  def test_one_peer_cannot_take_all_connections(self):
    with tempfile.TemporaryDirectory() as folder, \
         start('--handshake_timeout=10m',
               binary=limited_binary(folder, 200)) as server:
      held = [raw_http2.connect(server.grpc_address, ATTACKER)
              for _ in range(400)]
      with channel_to(server) as channel:
        self.assertEqual(len(generate(channel).images), 4)
      metrics = Metrics(server)
      self.assertGreater(
          metrics.sum('ddgan_connections_refused_total', reason='peer'), 200)
      self.assertLess(metrics.sum('ddgan_connections'), 100)
      for connection in held:
        connection.close()
      wait_for(server, lambda m: m.sum('ddgan_connections') <= 1, 'all closed')

  def test_silent_peers_that_take_all_connections_lose_them(self):
    with tempfile.TemporaryDirectory() as folder, \
         start('--handshake_timeout=2s',
               binary=limited_binary(folder, 200)) as server:
      held = [raw_http2.connect(server.grpc_address, f'127.0.0.{2 + i % 8}')
              for i in range(400)]
      wait_for(server, lambda m: m.sum('ddgan_connections_refused_total',
                                       reason='total') > 0, 'full')
      with channel_to(server) as channel:
        self.assertEqual(
            len(generate(channel, wait_for_ready=True).images), 4)
      for connection in held:
        self.assertTrue(is_closed(connection))
        connection.close()

  def test_it_goes_on_after_it_ran_out_of_descriptors(self):
    with start('--handshake_timeout=10m') as server:
      in_use = len(os.listdir(f'/proc/{server.pid}/fd'))
      _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
      resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (in_use + 20, hard))
      held = [raw_http2.connect(server.grpc_address, ATTACKER)
              for _ in range(400)]
      metrics = wait_for(
          server,
          lambda m: m.sum('ddgan_connections_refused_total',
                          reason='descriptors') > 300, 'out of descriptors')
      self.assertLessEqual(metrics.sum('ddgan_connections'), 20)
      for connection in held:
        connection.close()
      with channel_to(server) as channel:
        self.assertEqual(
            len(generate(channel, wait_for_ready=True).images), 4)


class ConnectionsTest(unittest.TestCase):

  def test_silent_half_open_and_slow_connections_are_closed_in_time(self):
    count = 3000
    # All are open together for a while: nothing is closed before HELD_S.
    with start(f'--handshake_timeout={HELD_S + 10}s',
               f'--keepalive_time={HELD_S + 5}s',
               '--keepalive_timeout=5s') as server:
      good = GoodCaller(server)
      quiet = time.monotonic()
      time.sleep(options.quiet)
      before = server.memory_mib()
      begin = time.monotonic()
      held = []
      for i in range(count):
        # Ten addresses, since one peer may not have as many.
        connection = raw_http2.connect(server.grpc_address,
                                       f'127.0.0.{2 + i % 10}')
        if i % 3 == 1:  # Half of a preface.
          connection.sendall(raw_http2.PREFACE[:12])
        elif i % 3 == 2:  # A preface, and then no word, nor answer to a ping.
          connection.sendall(raw_http2.PREFACE
                             + raw_http2.frame(raw_http2.SETTINGS, 0, 0))
        held.append(connection)
      wait_for(server, lambda m: m.sum('ddgan_connections') == count + 1,
               'all are taken')
      taken = time.monotonic()
      time.sleep(max(0, begin + HELD_S - taken))
      closing = time.monotonic()
      peak = server.memory_mib()
      open_now = count
      deadline = time.monotonic() + ATTACK_LIMIT_S
      while open_now > 1 and time.monotonic() < deadline:
        peak = max(peak, server.memory_mib())
        open_now = Metrics(server).sum('ddgan_connections')
        time.sleep(0.2)
      gone = time.monotonic()
      self.assertLessEqual(open_now, 1)  # The good caller's.
      for connection in held:
        self.assertTrue(is_closed(connection))
        connection.close()
      good.stop()
      self.assertEqual(good.failures, 0)
      self.assertNotEqual(good.took_s(begin, gone), [])
      print(f'{count} connections that do not speak: taken in '
            f'{taken - begin:.1f} s, all closed {gone - begin:.1f} s after '
            f'the first, {peak - before:.0f} MiB\n'
            f'  quiet, {good.report(quiet, begin)}\n'
            f'  as they come, {good.report(begin, taken)}\n'
            f'  while they are there, {good.report(taken, closing)}\n'
            f'  as they go, {good.report(closing, gone)}')
      # 64 KiB for each.
      self.assertLess(peak - before, count / 16)
      self.assertEqual(server.terminate(), 0)

  def test_an_idle_or_old_connection_is_asked_to_leave(self):
    for flag in ('--max_connection_idle=500ms', '--max_connection_age=500ms'):
      with self.subTest(flag), start(flag) as server:
        caller = RawHttp2(server.grpc_address)
        self.assertIsNotNone(caller.wait_for(raw_http2.GOAWAY, LIMIT_S))
        caller.close()
        # Clients of gRPC come back by themselves.
        with channel_to(server) as channel:
          for _ in range(3):
            self.assertEqual(len(generate(channel).images), 4)
            time.sleep(0.7)

  def test_only_a_flood_of_pings_is_too_many(self):
    with start('--min_ping_interval=200ms') as server:
      polite = RawHttp2(server.grpc_address)
      for _ in range(6):
        time.sleep(0.3)
        polite.ping()
        self.assertIsNotNone(polite.wait_for(raw_http2.PING, LIMIT_S))
      flood = RawHttp2(server.grpc_address)
      # In one piece: the server may close before a later one is sent.
      flood.ping(times=6)
      goaway = flood.wait_for(raw_http2.GOAWAY, LIMIT_S)
      self.assertEqual(int.from_bytes(goaway[3][4:8], 'big'),
                       raw_http2.ENHANCE_YOUR_CALM)
      self.assertIn(b'too_many_pings', goaway[3])

  def test_keepalive_of_a_waiting_client_is_no_attack_by_default(self):
    with start() as server, \
         channel_to(server, grpc__keepalive_time_ms=6000,
                    grpc__keepalive_permit_without_calls=1,
                    grpc__http2__max_pings_without_data=0) as channel:
      connections = []
      channel.subscribe(connections.append)
      generate(channel)
      time.sleep(25)
      generate(channel)
      self.assertIn(grpc.ChannelConnectivity.READY, connections)
      self.assertNotIn(grpc.ChannelConnectivity.TRANSIENT_FAILURE, connections)
      self.assertNotIn(grpc.ChannelConnectivity.IDLE, connections[1:])


class SlowReaders(threading.Thread):
  """Callers that ask again and again, and read next to nothing.

  `window` is what HTTP/2 lets the server send of each reply; of what comes they
  read a few bytes now and then. Whoever is cut off comes back.
  """

  def __init__(self, server, connections, calls, **arguments):
    super().__init__()
    self._address = server.grpc_address
    self._arguments = arguments
    self._calls = calls
    self._stopping = threading.Event()
    self._callers = [self._connect() for _ in range(connections)]
    self.start()

  def _connect(self):
    caller = RawHttp2(self._address, ATTACKER, **self._arguments)
    caller.socket.settimeout(1)
    for i in range(self._calls):
      self._call(caller, i)
    return caller

  @staticmethod
  def _call(caller, i):
    if i % 2:
      caller.call(STREAM, request_bytes(stream=True))
    else:
      caller.call(GENERATE, request_bytes())

  def run(self):
    rounds = 0
    while not self._stopping.wait(0.2):
      rounds += 1
      for i, caller in enumerate(self._callers):
        try:
          caller.socket.recv(64)
          self._call(caller, rounds)
        except OSError:
          caller.close()
          self._callers[i] = self._connect()

  def stop(self, close=True):
    self._stopping.set()
    self.join()
    if close:
      self.close()

  def close(self):
    for caller in self._callers:
      caller.close()


class SlowReadersTest(unittest.TestCase):

  def test_two_hundred_slow_readers_cost_what_their_bound_says(self):
    for name, arguments in (
        ('of streams', {'window': 10}),
        ('of sockets', {'window': raw_http2.LARGEST_WINDOW,
                        'receive_buffer': 4096})):
      with self.subTest(name), \
           start('--max_reply_mib_per_caller=32', '--write_timeout=3s',
                 shape=LARGE) as server:
        good = GoodCaller(server)
        quiet = time.monotonic()
        time.sleep(options.quiet)
        before = server.memory_mib()
        begin = time.monotonic()
        readers = SlowReaders(server, connections=10, calls=20, **arguments)
        peak = 0
        booked = 0
        end = time.monotonic() + 12
        while time.monotonic() < end:
          peak = max(peak, server.memory_mib())
          booked = max(booked,
                       Metrics(server).sum('ddgan_reply_bytes') / 2**20)
          time.sleep(0.1)
        readers.stop()
        metrics = wait_for(server,
                           lambda m: m.sum('ddgan_reply_bytes') < 2 * 2**20,
                           'the bytes are back')
        good.stop()
        refused = metrics.sum('ddgan_rejected_total',
                              reason='reply_bytes_caller')
        cut = metrics.sum('ddgan_write_timeouts_total', what='connection')
        print(f'200 slow readers {name}: {peak - before:.0f} MiB, '
              f'{booked:.0f} MiB booked, {refused:.0f} calls refused, '
              f'{cut:.0f} connections cut\n'
              f'  quiet, {good.report(quiet, begin)}\n'
              f'  under attack, {good.report(begin, end)}')
        self.assertEqual(good.failures, 0)
        self.assertGreater(refused, 0)
        self.assertGreater(
            metrics.sum('ddgan_write_timeouts_total', what='call'), 0)
        self.assertLessEqual(booked, 32 + 2)  # The good caller's as well.
        self.assertLessEqual(peak - before, 64)
        self.assertEqual(server.terminate(), 0)

  def test_a_stop_does_not_wait_for_them(self):
    with start('--drain_timeout=1s', shape=LARGE) as server:
      readers = SlowReaders(server, connections=4, calls=5,
                            window=raw_http2.LARGEST_WINDOW,
                            receive_buffer=4096)
      try:
        wait_for(server, lambda m: m.sum('ddgan_reply_bytes') > 0, 'booked')
      finally:
        readers.stop(close=False)
      begin = time.monotonic()
      self.assertEqual(server.terminate(), 0)
      print(f'stopped {time.monotonic() - begin:.1f} s after SIGTERM, under '
            'slow readers')
      readers.close()


class HalfSender(threading.Thread):
  """A connection of calls that are sent as far as the server gives room, but for
  their last byte. Ends when the connection does.
  """

  SIZE = 1 << 20
  CHUNK = 1 << 14

  def __init__(self, server, calls):
    super().__init__()
    self._caller = RawHttp2(server.grpc_address, ATTACKER)
    self._window = 65535
    self._windows = {}
    self._left = {}
    self.sent = 0
    self.reset = 0
    self._body = struct.pack('>BI', 0, self.SIZE) + b'\0' * self.CHUNK
    for _ in range(calls):
      stream = self._caller.begin(GENERATE)
      self._windows[stream] = 65535
      self._left[stream] = self.SIZE + 5 - 1
    self.start()

  def run(self):
    try:
      while True:
        while any([self._send(stream) for stream in self._left]):
          continue
        received = self._caller.read_frame(limit_s=LIMIT_S)
        if received is None:
          return
        self._handle(*received)
    except (OSError, TimeoutError):
      return

  def _send(self, stream):
    size = min(self._left[stream], self._windows[stream], self._window,
               self.CHUNK)
    if size <= 0:
      return False
    begun = self._left[stream] < self.SIZE + 4
    body = self._body[5:5 + size] if begun else self._body[:size]
    self._caller.socket.sendall(raw_http2.frame(raw_http2.DATA, 0, stream, body))
    self.sent += size
    self._left[stream] -= size
    self._windows[stream] -= size
    self._window -= size
    return True

  def _handle(self, kind, flags, stream, payload):
    if kind == raw_http2.WINDOW_UPDATE:
      more = struct.unpack('>I', payload)[0]
      if stream == 0:
        self._window += more
      elif stream in self._windows:
        self._windows[stream] += more
    elif kind == raw_http2.SETTINGS and not flags & raw_http2.ACK:
      for at in range(0, len(payload), 6):
        name, value = struct.unpack('>HI', payload[at:at + 6])
        if name == raw_http2.INITIAL_WINDOW_SIZE:
          for known in self._windows:
            self._windows[known] += value - self._initial_window(value)
      self._caller.socket.sendall(
          raw_http2.frame(raw_http2.SETTINGS, raw_http2.ACK, 0))
    elif kind == raw_http2.PING and not flags & raw_http2.ACK:
      self._caller.socket.sendall(
          raw_http2.frame(raw_http2.PING, raw_http2.ACK, 0, payload))
    elif kind == raw_http2.RST_STREAM:
      self.reset += 1
      self._left[stream] = 0

  def _initial_window(self, new):
    old, self._initial = getattr(self, '_initial', 65535), new
    return old

  def close(self):
    # Wakes the thread, too.
    self._caller.socket.shutdown(socket.SHUT_RDWR)
    self.join()
    self._caller.close()


class SizesTest(unittest.TestCase):

  def test_half_sent_requests_of_one_address_hold_little(self):
    with start('--request_timeout=10m') as server, \
         channel_to(server) as channel:
      generate(channel)
      before = server.memory_mib()
      senders = [HalfSender(server, calls=64) for _ in range(4)]
      peak = 0
      end = time.monotonic() + 10
      while time.monotonic() < end:
        peak = max(peak, server.memory_mib())
        time.sleep(0.1)
      sent = sum(sender.sent for sender in senders) / 2**20
      print(f'256 requests of 1 MiB but for the last byte: {sent:.0f} MiB '
            f'sent, {sum(sender.reset for sender in senders)} reset, '
            f'{peak - before:.0f} MiB of memory')
      self.assertEqual(len(generate(channel).images), 4)
      for sender in senders:
        sender.close()
      # 32 are received, and 64 KiB of each of the others: 46 MiB.
      self.assertGreater(sent, 32)
      self.assertLess(peak - before, 64)
      self.assertEqual(server.terminate(), 0)

  def test_half_sent_requests_end_in_time_and_leave_room(self):
    with start('--request_timeout=1s', '--max_arriving_requests=4') as server:
      sender = HalfSender(server, calls=32)
      wait_for(server, lambda m: m.sum('ddgan_requests_not_received_total',
                                       reason='timeout') == 32, 'all ended')
      with channel_to(server) as channel:
        self.assertEqual(len(generate(channel).images), 4)
      sender.close()

  def test_headers_without_an_end_are_cut(self):
    with start('--max_arriving_requests=4') as server, \
         channel_to(server) as channel:
      generate(channel)
      before = server.memory_mib()
      flood = RawHttp2(server.grpc_address, ATTACKER)
      fields = raw_http2.header_block([(f'x-{i}', 'y' * 3000)
                                       for i in range(5)])
      sent = 0
      flood.socket.sendall(raw_http2.frame(
          raw_http2.HEADERS, 0, 1,
          raw_http2.header_block(raw_http2.call_headers(GENERATE))))
      with self.assertRaises(OSError):
        while sent < 2 << 30:
          flood.socket.sendall(
              raw_http2.frame(raw_http2.CONTINUATION, 0, 1, fields))
          sent += len(fields)
      wait_for(server,
               lambda m: (m.sum('ddgan_requests_not_received_total',
                                reason='too_much') == 1
                          and m.sum('ddgan_connections') <= 1), 'cut')
      print(f'headers without an end: cut after {sent >> 20} MiB, '
            f'{server.memory_mib() - before:.0f} MiB of memory')
      self.assertEqual(len(generate(channel).images), 4)

  def test_headers_in_many_frames_count_together(self):
    fields = raw_http2.header_block([('x', 'y' * 3000)])
    with start() as server, channel_to(server) as channel:
      caller = RawHttp2(server.grpc_address, ATTACKER)
      caller.socket.sendall(raw_http2.frame(
          raw_http2.HEADERS, 0, 1,
          raw_http2.header_block(raw_http2.call_headers(GENERATE))))
      for last in 7 * [0] + [raw_http2.END_HEADERS]:
        caller.socket.sendall(
            raw_http2.frame(raw_http2.CONTINUATION, last, 1, fields))
      answer = caller.wait_for(raw_http2.HEADERS, LIMIT_S)
      self.assertIn(b'bytes of metadata, of at most 16384', answer[3])
      caller.close()
      self.assertEqual(len(generate(channel).images), 4)

  def test_a_compressed_request_is_not_unpacked(self):
    # A count, and a field that nobody knows of 1 GiB.
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = packer.compress(b'\x18\x01\x7a\x80\x80\x80\x80\x04')
    for _ in range(1024):
      body += packer.compress(bytes(1 << 20))
    body += packer.flush()
    message = struct.pack('>BI', 1, len(body)) + body
    with start() as server, channel_to(server) as channel:
      generate(channel)
      before = server.memory_mib('VmHWM')
      callers = [RawHttp2(server.grpc_address, ATTACKER) for _ in range(8)]
      for caller in callers:
        stream = caller.begin(GENERATE, [('grpc-encoding', 'gzip')])
        # What a window lets through; the answer does not wait for the rest.
        for at in range(0, 3 << 14, 1 << 14):
          caller.socket.sendall(raw_http2.frame(
              raw_http2.DATA, 0, stream, message[at:at + (1 << 14)]))
        answer = caller.wait_for(raw_http2.HEADERS, LIMIT_S)
        self.assertIn(b'is disabled', answer[3])
      self.assertEqual(len(generate(channel).images), 4)
      peak = server.memory_mib('VmHWM')
      print(f'8 requests of {len(message)} bytes that unpack to 1 GiB: '
            f'{peak - before:.1f} MiB of memory')
      self.assertLess(peak - before, 8)
      for caller in callers:
        caller.close()


class HttpTest(unittest.TestCase):

  def probe(self, server):
    """Milliseconds that /livez takes."""
    begin = time.monotonic()
    with raw_http2.connect(server.http_address) as connection:
      connection.sendall(b'GET /livez HTTP/1.1\r\nHost: test\r\n\r\n')
      answer = b''
      while chunk := connection.recv(4096):
        answer += chunk
    self.assertIn(b' 200 OK', answer)
    return 1000 * (time.monotonic() - begin)

  def test_a_probe_is_answered_while_200_slow_clients_hang_on(self):
    with start() as server:
      quiet = [self.probe(server) for _ in range(50)]
      slow = []
      for i in range(200):
        connection = raw_http2.connect(server.http_address, ATTACKER,
                                       receive_buffer=4096)
        if i % 3 == 1:  # Half a request.
          connection.sendall(b'GET /livez HTTP/1.1\r\nHos')
        elif i % 3 == 2:  # An answer that is not read.
          connection.sendall(b'GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n')
        slow.append(connection)
      during = sorted(self.probe(server) for _ in range(100))
      print(f'/livez: median {during[50]:.1f} ms, largest {during[-1]:.1f} ms; '
            f'quiet {sorted(quiet)[25]:.1f} and {max(quiet):.1f} ms')
      self.assertLess(during[50], max(100, 10 * sorted(quiet)[25]))
      for connection in slow:
        self.assertTrue(is_closed(connection))
        connection.close()


class StreamsTest(unittest.TestCase):

  def test_too_much_metadata_and_too_large_a_request_get_clear_codes(self):
    with start('--max_metadata_kib=8', '--max_request_kib=64') as server:
      # gRPC closes the connection after that.
      with channel_to(server) as channel:
        with self.assertRaises(grpc.RpcError) as caught:
          generate(channel, metadata=[('x', 'y' * 10000)])
        self.assertEqual(caught.exception.code(),
                         grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn('metadata size', caught.exception.details())
      with channel_to(server) as channel:
        with self.assertRaises(grpc.RpcError) as caught:
          images_grpc.ImageGenerationStub(channel).Generate(
              pb.GenerateRequest(count=1, model='m' * (65 << 10)),
              timeout=LIMIT_S)
        self.assertEqual(caught.exception.code(),
                         grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn('larger than max', caught.exception.details())
        self.assertEqual(len(generate(channel).images), 4)

  def test_more_streams_than_allowed_wait_or_end_the_connection(self):
    with start('--max_streams_per_connection=4') as server:
      caller = RawHttp2(server.grpc_address, window=0)
      # A client that knows the setting waits. This one does not.
      caller.wait_for(raw_http2.SETTINGS)
      caller.socket.sendall(
          raw_http2.frame(raw_http2.SETTINGS, raw_http2.ACK, 0))
      for _ in range(5):
        caller.call(GENERATE, request_bytes(count=1))
      caller.wait_for_end()
      with channel_to(server) as channel:
        calls = [
            images_grpc.ImageGenerationStub(channel).Generate.future(
                pb.GenerateRequest(count=1), timeout=LIMIT_S)
            for _ in range(20)]
        for call in calls:
          self.assertEqual(len(call.result().images), 1)


def main():
  global options, pb, images_grpc, model_pb, models_grpc
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True,
                      help='the ddgan_server_with_fake_engine binary')
  parser.add_argument('--quiet', type=float, default=5,
                      help='seconds that attacks are compared with')
  parser.add_argument('--good_caller', metavar='ADDRESS',
                      help='only call, until stdin ends')
  parser.add_argument('--quick', action='store_const', const=QUICK, default=(),
                      help='only tests that take less than half a minute')
  parser.add_argument('--slow', action='store_const', const=SLOW, default=(),
                      help='only the others')
  options, rest = parser.parse_known_args()
  _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
  pb, images_grpc, model_pb, models_grpc = generate_stubs(REPOSITORY / 'proto')
  if options.good_caller:
    call_until_told(options.good_caller)
    return
  unittest.main(argv=[sys.argv[0], *options.quick, *options.slow, *rest],
                verbosity=2)


if __name__ == '__main__':
  main()
