"""What both clients make of a server's answers, and of its failures.

The server is a scripted one in this process (fake_server.py).
"""

import asyncio
import functools
import math
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

import grpc
import numpy as np

import ddgan
from ddgan import _settings
from both_clients import AsyncCases
from both_clients import LIMIT_S
from both_clients import SyncCases
from fake_server import DRAWN_SEED
from fake_server import Failure
from fake_server import MODEL
from fake_server import VERSION
from scripted_cases import ScriptedCases

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def wait_until_asleep(pid):
  """Until a process's main thread waits, and for no time limit."""
  before, now = None, 0
  while before != now:
    time.sleep(0.2)
    status = pathlib.Path(f'/proc/{pid}/task/{pid}/status').read_text()
    before, now = now, status[status.index('voluntary_ctxt_switches'):]


class CallsCases(ScriptedCases):

  def test_returns_the_images_of_one_call(self):
    images = self.quick().generate(3, first_index=8, seed=7, model='a',
                                   version=5, output_type='np')
    request, = self.server.requests()
    self.assertEqual((request.model, request.version, request.count,
                      request.seed, request.first_index),
                     ('a', 5, 3, 7, 8))
    self.assertEqual((request.format, request.request_class), (3, 1))
    self.assertFalse(request.HasField('guide'))
    self.assertEqual([image.index for image in images], [8, 9, 10])
    self.assertEqual((images.model, images.version, images.seed), ('a', 5, 7))
    self.assertEqual(images.timings, ddgan.Timings(0, 0.25, 0))
    self.assertEqual((images.num_timesteps, images.evaluations), (4, 4))
    np.testing.assert_array_equal(
        images[1].float32, np.float32([[[0.25, -1], [0.007, 0.009]]]))

  def test_leaves_to_the_server_what_it_is_not_told(self):
    images = self.quick().generate()
    request, = self.server.requests()
    self.assertEqual(request.model, '')
    self.assertFalse(request.HasField('version'))
    self.assertFalse(request.HasField('seed'))
    self.assertEqual(request.format, 1)
    self.assertEqual((images.seed, len(images)), (DRAWN_SEED, 1))
    named = self.quick(model='usual')
    named.generate()
    list(named.stream())
    named.generate(model='other')
    self.assertEqual([request.model for request in self.server.requests()[1:]],
                     ['usual', 'usual', 'other'])
    self.quick().generate(seed=0, version=1, request_class='batch')
    request = self.server.requests()[-1]
    self.assertTrue(request.HasField('seed'))
    self.assertEqual((request.version, request.request_class), (1, 2))

  def test_sends_a_guide(self):
    guide = np.zeros((2, 2), np.uint8)
    images = self.quick().generate(guide=guide, guide_steps=2,
                                   guide_fit='resize')
    request, = self.server.requests()
    self.assertTrue(request.guide.png.startswith(b'\x89PNG'))
    self.assertEqual((request.guide.steps, request.guide.fit), (2, 2))
    self.assertEqual(images[0].steps, 2)

  def test_keeps_the_servers_code_and_message(self):
    self.server.failures.append(
        Failure(grpc.StatusCode.NOT_FOUND, 'no model "x"'))
    error = self.assert_error(grpc.StatusCode.NOT_FOUND, self.quick().generate)
    self.assertEqual(error.details, 'no model "x"')
    self.assertEqual(error.address, self.server.address)
    self.assertIsNone(error.retry_after)
    self.assertIn('NOT_FOUND: no model "x"', str(error))
    self.assertIn('models.list()', str(error))
    self.assertEqual(len(self.server.requests()), 1)

  def test_tries_again_while_the_server_is_unavailable(self):
    self.server.failures.extend(2 * [Failure(UNAVAILABLE)])
    self.assertEqual(len(self.quick().generate(2)), 2)
    self.assertEqual(len(self.server.requests()), 3)
    self.assertEqual([code for code, _ in self.retries], 2 * [UNAVAILABLE])

  def test_waits_as_long_as_the_servers_trailer_says(self):
    self.server.failures.append(Failure(EXHAUSTED, pushback='30'))
    self.quick().generate()
    (code, delay), = self.retries
    self.assertEqual(code, EXHAUSTED)
    self.assertTrue(0.03 <= delay < 0.0361, delay)

  def test_gives_up_when_the_server_says_so(self):
    self.server.failures.append(Failure(UNAVAILABLE, pushback='-1'))
    error = self.assert_error(UNAVAILABLE, self.quick().generate)
    self.assertEqual(error.retry_after, math.inf)
    self.server.failures.append(Failure(EXHAUSTED))
    self.assert_error(EXHAUSTED, self.quick().generate)
    self.assertEqual(self.retries, [])

  def test_gives_up_after_as_many_attempts_as_the_policy_allows(self):
    self.server.failures.extend(6 * [Failure(UNAVAILABLE)])
    self.assert_error(UNAVAILABLE, self.quick().generate)
    self.assertEqual(len(self.server.requests()), 5)

  def test_all_attempts_have_one_deadline(self):
    self.server.failures.extend(1000 * [Failure(UNAVAILABLE, pushback='50')])
    client = self.client(self.server.address,
                         retry=ddgan.RetryPolicy(max_attempts=1000))
    with self.assertRaises(ddgan.Error) as caught:
      client.generate(timeout=1)
    # The latter if the time is up during an attempt.
    self.assertIn(caught.exception.code,
                  (UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED))
    # Each wait takes 50 ms at least.
    self.assertLessEqual(len(self.server.requests()), 21)

  def test_all_parts_have_one_deadline_if_it_is_named(self):
    client = self.client(self.server.address, timeout=1000)
    for arguments, made in (({'timeout': 300}, [mock.call(300)]),
                            ({}, 2 * [mock.call(1000)])):
      for make in (client.generate,
                   lambda *count, **named: list(client.stream(*count, **named)),
                   functools.partial(client.generate,
                                     progress=lambda done, total: None)):
        with mock.patch.object(_settings, 'Deadline',
                               wraps=_settings.Deadline) as deadline:
          make(65, **arguments)
        self.assertEqual(deadline.mock_calls, made)
    # gRPC rounds long times up to minutes.
    for left in self.server.time_remaining():
      self.assertTrue(100 < left < 1100, left)

  def test_a_call_without_a_limit_has_no_deadline(self):
    self.quick().generate(timeout=math.inf)
    # gRPC's server has a number for "none", some decades.
    self.assertGreater(self.server.time_remaining()[0] or math.inf, 1e7)

  def test_reports_a_server_that_is_not_there(self):
    # Bound, so that nobody else is given the port meanwhile.
    with socket.socket() as holder:
      holder.bind(('127.0.0.1', 0))
      self.server.address = f'127.0.0.1:{holder.getsockname()[1]}'
      error = self.assert_error(UNAVAILABLE, self.quick().generate)
    self.assertIn(f'running at {self.server.address}', str(error))
    self.assertEqual(len(self.retries), 4)

  def test_ends_a_call_at_its_timeout(self):
    self.server.hold()
    client = self.quick()
    self.assert_error(grpc.StatusCode.DEADLINE_EXCEEDED,
                      lambda: client.generate(timeout=1))
    self.server.await_callers_that_left(1)
    self.assertEqual(self.retries, [])
    self.assert_error(grpc.StatusCode.DEADLINE_EXCEEDED,
                      lambda: list(client.stream(timeout=1)))
    self.server.release()
    self.assertEqual(len(client.generate()), 1)

  def test_refuses_a_reply_that_does_not_fit_the_request(self):
    def drop(reply): del reply.images[0]
    def shift(reply): reply.images[1].index = 5
    def cut(reply): reply.images[1].data = b'1234'
    def paint(reply): reply.shape.channels = 2
    def flatten(reply): reply.shape.height = 0
    client = self.quick()
    for change, words in ((drop, '1 images; asked for 2'),
                          (shift, 'has index 5; wanted 1'),
                          (cut, 'image 1 has 4 bytes'),
                          (paint, 'with 2 channels'), (flatten, '2x0')):
      with self.subTest(change.__name__):
        self.server.tamper = change
        self.assert_error(grpc.StatusCode.DATA_LOSS,
                          lambda: client.generate(2, output_type='np'), words)

  def test_splits_a_large_count_and_keeps_what_the_first_call_chose(self):
    for make in (lambda client: list(client.generate(150, first_index=9)),
                 lambda client: [
                     event for event in client.stream(150, first_index=9)
                     if isinstance(event, ddgan.Image)]):
      images = make(self.quick())
      first, second, third = self.server.requests()[-3:]
      self.assertEqual([request.count for request in (first, second, third)],
                       [64, 64, 22])
      self.assertEqual(
          [request.first_index for request in (first, second, third)],
          [9, 73, 137])
      self.assertFalse(first.HasField('seed') or first.HasField('version'))
      for request in (second, third):
        self.assertEqual((request.model, request.version, request.seed),
                         (MODEL, VERSION, DRAWN_SEED))
      self.assertEqual(sorted(image.index for image in images),
                       list(range(9, 159)))

  def test_takes_smaller_parts_of_images_that_are_too_large_for_64(self):
    refused = Failure(
        grpc.StatusCode.INVALID_ARGUMENT,
        'count: 64 is out of range [1, 21] for FLOAT32 images of 3x512x512')
    self.server.failures.extend([refused, refused])
    images = self.quick().generate(40, first_index=9)
    self.assertEqual([request.count for request in self.server.requests()[-6:]],
                     [40, 20, 10, 10, 10, 10])
    self.assertEqual([image.index for image in images], list(range(9, 49)))
    # One image is the smallest part.
    self.server.failures.append(refused)
    self.assert_error(grpc.StatusCode.INVALID_ARGUMENT,
                      lambda: self.quick().generate(1), 'count: 64')

  def test_sums_the_timings_of_all_parts(self):
    self.assertEqual(self.quick().generate(129).timings.steps, 0.75)

  def test_mixes_no_two_checkpoints(self):
    digests = iter(['aa' * 32, 'bb' * 32, 'cc' * 32, 'dd' * 32])
    def change(message):
      if 'event' not in message.DESCRIPTOR.oneofs_by_name:
        message.checkpoint_digest = next(digests)
      elif message.HasField('accepted'):
        message.accepted.checkpoint_digest = next(digests)
    self.server.tamper = change
    client = self.quick()
    self.assert_error(grpc.StatusCode.ABORTED, lambda: client.generate(65),
                      'aaaa', 'bbbb')
    seen = []
    self.assert_error(grpc.StatusCode.ABORTED,
                      lambda: seen.extend(client.stream(65)))
    self.assertEqual(len(self.server.requests()), 4)

  def test_sends_the_token_and_the_clients_name_with_every_call(self):
    client = self.quick(token='secret', client_id='night job')
    for call in (client.generate, lambda: list(client.stream())):
      call()
      metadata = self.server.metadata()
      self.assertEqual(metadata['authorization'], 'Bearer secret')
      self.assertEqual(metadata['ddgan-client-id'], 'night job')
    self.quick().generate()
    self.assertNotIn('authorization', self.server.metadata())
    self.assertNotIn('secret', repr(client) + repr(vars(client)))

  def test_reaches_the_loopback_without_the_environments_proxy(self):
    nowhere = 'http://127.0.0.1:1'
    with mock.patch.dict(os.environ, {'http_proxy': nowhere,
                                      'grpc_proxy': nowhere}):
      self.assertEqual(len(self.quick().generate()), 1)

  def test_the_environment_names_the_server(self):
    with mock.patch.dict(os.environ, {'DDGAN_SERVER': self.server.address}):
      client = self.client(None)
    self.assertEqual(client.address, self.server.address)
    self.assertEqual(len(client.generate()), 1)

  def test_sends_nothing_that_cannot_be_right(self):
    client = self.quick()
    for call in (lambda: client.generate(0), lambda: client.generate(seed=-1),
                 lambda: client.stream(version=0),
                 lambda: client.stream(timeout=0),
                 lambda: client.generate(guide=np.zeros((2, 2), np.uint8)),
                 lambda: client.models.pin('', 3),
                 lambda: client.models.pin(MODEL, 0),
                 lambda: client.models.watch(timeout=-1)):
      with self.assertRaises(ValueError):
        call()
    with self.assertRaises(TypeError):
      client.generate(progress='yes')
    self.assertEqual(self.server.requests() + self.server.controls(), [])

  def test_a_closed_client_says_so(self):
    client = self.quick()
    client.generate()
    client.close()
    client.close()
    for call in (client.generate, client.stream, client.models.list):
      with self.assertRaisesRegex(RuntimeError, 'is closed'):
        call()


class ClientTest(CallsCases, SyncCases, unittest.TestCase):

  def test_closing_ends_the_calls_of_other_threads(self):
    self.server.hold()
    client = self.quick()
    failures = []

    def call(make):
      try:
        make()
      except ddgan.Error as error:
        failures.append(error.code)

    threads = [threading.Thread(target=call, args=[make])
               for make in (client.generate, lambda: list(client.stream()))]
    for thread in threads:
      thread.start()
    self.server.await_requests(2)
    client.close()
    for thread in threads:
      thread.join(LIMIT_S)
    self.assertEqual(failures, 2 * [grpc.StatusCode.CANCELLED])
    self.server.await_callers_that_left(2)

  def test_control_c_ends_the_call_in_the_server_too(self):
    self.server.hold()
    # Even where this test runs in the background of a shell, which ignores it.
    program = ('import signal, sys, ddgan\n'
               'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
               'client = ddgan.Client(sys.argv[1])\n'
               'try:\n'
               '  client.generate()\n'
               'except KeyboardInterrupt:\n'
               '  sys.stdin.read()\n'
               '  print("interrupted")\n')
    process = subprocess.Popen(
        [sys.executable, '-c', program, self.server.address],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    self.server.await_requests(1)
    wait_until_asleep(process.pid)
    process.send_signal(signal.SIGINT)
    self.server.await_callers_that_left(1)  # While the program goes on.
    self.assertIsNone(process.poll())
    output, _ = process.communicate(timeout=LIMIT_S)
    self.assertEqual(output, 'interrupted\n')


class AsyncClientTest(CallsCases, AsyncCases, unittest.TestCase):

  def test_cancelling_a_task_ends_its_call_in_the_server_too(self):
    self.server.hold()

    async def main():
      async with ddgan.AsyncClient(self.server.address) as client:
        for make in (client.generate,
                     lambda: client.stream().__anext__()):
          before = len(self.server.requests())
          task = asyncio.ensure_future(make())
          await asyncio.get_running_loop().run_in_executor(
              None, self.server.await_requests, before + 1)
          task.cancel()
          with self.assertRaises(asyncio.CancelledError):
            await task
        await asyncio.get_running_loop().run_in_executor(
            None, self.server.await_callers_that_left, 2)

    self.run_in_loop(main())

  def test_cancelling_a_task_that_waits_for_a_retry_ends_it(self):
    self.server.failures.append(Failure(UNAVAILABLE, pushback='59000'))

    async def main():
      waiting = asyncio.Event()
      async with ddgan.AsyncClient(
          self.server.address,
          on_retry=lambda error, delay: waiting.set()) as client:
        task = asyncio.ensure_future(client.generate())
        await waiting.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
          await task

    self.run_in_loop(main())

  def test_is_made_before_its_event_loop_and_belongs_to_one(self):
    client = ddgan.AsyncClient(self.server.address)

    async def call():
      return len(await client.generate())

    async def call_and_close():
      with self.assertRaisesRegex(RuntimeError, 'another event loop'):
        await client.generate()

    loop = asyncio.new_event_loop()
    self.assertEqual(loop.run_until_complete(call()), 1)
    asyncio.run(call_and_close())
    loop.run_until_complete(client.close())
    loop.close()

  def test_has_the_names_and_the_documentation_of_client(self):
    for sync, asynchronous in (
        (ddgan.Client, ddgan.AsyncClient),
        (type(ddgan.Client('localhost:1').models),
         type(ddgan.AsyncClient('localhost:1').models))):
      names = {name for name in dir(sync) if not name.startswith('_')}
      self.assertEqual(names, {name for name in dir(asynchronous)
                               if not name.startswith('_')})
      for name in names - {'close', 'address'}:
        self.assertEqual(getattr(sync, name).__doc__,
                         getattr(asynchronous, name).__doc__)


if __name__ == '__main__':
  unittest.main(verbosity=2)
