"""Both clients while versions change, are pinned, and servers stop and start.

Run by CTest, or by hand, with the package installed and tests/integration in
PYTHONPATH:
  python changes_test.py --server=build/release/server/ddgan-server \
      --publisher=build/release/tests/integration/publish_versions \
      --model_root=deploy/models
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import unittest

import grpc

import ddgan
from both_clients import AsyncCases
from both_clients import SyncCases
from hot_reload import Publisher
from real_server import LIMIT_S
from real_server import run_tests
from real_server import SEED
from real_server import wait_until
from server_process import ServerProcess

options = argparse.Namespace()  # Filled by run_tests.


class ChangesCases:
  """Each test has a server of its own, with two versions to change between."""

  # A look at the folder every 50 ms finds also what no event tells. The
  # versions' images are close to one another; how close is not tested here.
  FLAGS = ('--poll_interval=50ms', '--warmup=ends',
           '--canary_max_mean_shift=2')

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-models-')
    self.addCleanup(folder.cleanup)
    self.root = pathlib.Path(folder.name)
    source = next(pathlib.Path(options.model_root).glob('*/[0-9]*'))
    self.model = source.parent.name
    self.publisher = Publisher(options.publisher, source, self.root, self.model)
    self.publisher.publish(1)

  def start(self, *flags):
    server = ServerProcess(options.server, self.root, [*self.FLAGS, *flags])
    self.addCleanup(server.close)
    return server

  def publish_and_await(self, client, version):
    self.publisher.publish(version)
    with client.models.watch(timeout=LIMIT_S) as changes:
      for model in changes:
        if model.live_version == version:
          return

  def test_a_version_that_changes_between_two_parts_is_held(self):
    client = self.client(self.start().grpc_address)
    versions = set()
    parts = 0
    with client.stream(129, seed=SEED) as stream:
      for event in stream:
        parts += isinstance(event, ddgan.Summary)
        if parts == 1 and isinstance(event, ddgan.Summary):
          self.publish_and_await(client, 2)
        if isinstance(event, (ddgan.Accepted, ddgan.Image)):
          versions.add(event.version)
    self.assertEqual((parts, versions), (3, {1}))
    self.assertEqual(client.generate().version, 2)

  def test_no_call_fails_while_a_version_changes(self):
    client = self.client(self.start().grpc_address)
    done = threading.Event()
    seen = []

    def call():
      while not done.is_set():
        images = client.generate(70, seed=SEED)
        seen.append({image.version for image in images})

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
      callers = [pool.submit(call) for _ in range(2)]
      try:
        wait_until(lambda: seen, 'no call ends')
        self.publish_and_await(client, 2)
        wait_until(lambda: {2} in seen, 'no call by the new version')
      finally:
        done.set()
      for caller in callers:
        caller.result(LIMIT_S)
    self.assertIn({1}, seen)
    self.assertNotIn({1, 2}, seen)

  def test_pins_a_version_and_waits_until_it_is_live(self):
    self.publisher.publish(2)
    self.publisher.publish(3)
    models = self.client(self.start().grpc_address).models
    self.assertEqual(models.get(self.model).live_version, 3)
    pinned = models.pin(self.model, 1)
    self.assertEqual((pinned.version, pinned.state),
                     (1, ddgan.VersionState.LIVE))
    self.assertEqual(models.get(self.model).pinned_version, 1)
    models.unpin(self.model)
    with models.watch(timeout=LIMIT_S) as changes:
      next(model for model in changes if model.live_version == 3)
    rolled = models.rollback(self.model).version
    self.assertLess(rolled, 3)
    self.assertEqual(models.get(self.model).live_version, rolled)

  def test_a_pin_of_a_broken_version_says_why_it_is_refused(self):
    models = self.client(self.start().grpc_address).models
    folder = self.root / self.model
    shutil.copytree(folder / '1', folder / '2.partial')
    weights = folder / '2.partial' / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-1])
    (folder / '2.partial').rename(folder / '2')
    with models.watch(timeout=LIMIT_S) as changes:
      for model in changes:
        version = model.find(2)
        if version and version.state == ddgan.VersionState.REFUSED:
          break
    with self.assertRaises(ddgan.Error) as caught:
      models.pin(self.model, 2)
    self.assertEqual(caught.exception.code,
                     grpc.StatusCode.FAILED_PRECONDITION)
    self.assertIn('model.safetensors', caught.exception.details)

  def test_a_drain_finishes_what_was_accepted(self):
    server = self.start()
    client = self.client(server.grpc_address, retry=ddgan.RetryPolicy(1))
    with client.stream(64, seed=SEED) as stream:
      self.assertIsInstance(next(stream), ddgan.Accepted)
      os.kill(server.pid, signal.SIGTERM)
      images = [event for event in stream if isinstance(event, ddgan.Image)]
    self.assertEqual(len(images), 64)
    wait_until(lambda: server.exit_code() is not None, 'the server stays')
    self.assertEqual(server.exit_code(), 0)
    with self.assertRaises(ddgan.Error) as caught:
      client.generate()
    self.assertEqual(caught.exception.code, grpc.StatusCode.UNAVAILABLE)

  def test_calls_outlast_a_restart(self):
    server = self.start()
    waiting = threading.Event()
    client = self.client(
        server.grpc_address,
        retry=ddgan.RetryPolicy(max_attempts=10**6, initial_backoff=0.05,
                                max_backoff=0.05),
        on_retry=lambda error, delay: waiting.set())
    before = list(client.generate(2, seed=SEED))
    self.assertEqual(server.terminate(), 0)
    with concurrent.futures.ThreadPoolExecutor() as pool:
      after = pool.submit(lambda: list(client.generate(2, seed=SEED)))
      self.assertTrue(waiting.wait(LIMIT_S))
      self.start(f'--listen={server.grpc_address}')
      self.assertEqual(after.result(LIMIT_S), before)


class ClientChangesTest(ChangesCases, SyncCases, unittest.TestCase):
  pass


class AsyncClientChangesTest(ChangesCases, AsyncCases, unittest.TestCase):
  pass


if __name__ == '__main__':
  run_tests(__doc__, options, publisher='the publish_versions binary')
