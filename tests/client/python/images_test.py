"""Both clients against a real server: images, streams, guides, many calls.

Run by CTest, or by hand, with the package installed and tests/integration in
PYTHONPATH:
  python images_test.py --server=build/release/server/ddgan-server \
      --model_root=build/release/tests/integration/tiny_models
"""

import argparse
import asyncio
import concurrent.futures
import gc
import io
import os
import pathlib
import tempfile
import threading
import unittest

import grpc
import numpy as np
import PIL.Image
import PIL.ImageDraw

import ddgan
from both_clients import AsyncCases
from both_clients import SyncCases
from real_server import run_tests
from real_server import SEED
from real_server import wait_until
from server_metrics import Metrics
from server_process import ServerProcess

options = argparse.Namespace()  # Filled by run_tests.


class ImagesCases:
  """One server for all of them, which no test changes."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.server = ServerProcess(options.server, options.model_root)
    cls.addClassCleanup(cls.server.close)

  def setUp(self):
    self.ddgan = self.client(self.server.grpc_address)
    self.model, = self.ddgan.models.list()

  def assert_error(self, code, call, *words):
    with self.assertRaises(ddgan.Error) as caught:
      call()
    self.assertEqual(caught.exception.code, code, caught.exception)
    for word in words:
      self.assertIn(word, caught.exception.details)

  def test_all_output_types_are_the_same_images(self):
    png, pil, floats = [
        self.ddgan.generate(3, seed=SEED, output_type=kind)
        for kind in ('png', 'pil', 'np')]
    self.assertEqual(list(png), [
        ddgan.Image(**{**vars(image), 'output_type': 'png'}) for image in pil])
    np.testing.assert_array_equal(floats.array, png.array)
    self.assertEqual(floats.array.shape[1:],
                     (*self.model.live.shape[1:], self.model.live.shape[0]))
    for from_floats, from_server in zip(floats, png):
      made, sent = [PIL.Image.open(io.BytesIO(image.png))
                    for image in (from_floats, from_server)]
      self.assertEqual(made.text, sent.text)
      self.assertEqual(made.tobytes(), sent.tobytes())
    self.assertEqual(len({image.png for image in png}), 3)

  def test_the_images_say_how_to_ask_again(self):
    first = self.ddgan.generate(2)
    live = self.model.live
    self.assertEqual((first.model, first.version, first.digest, first.shape),
                     (self.model.name, live.version, live.digest, live.shape))
    self.assertEqual(first[0].steps, live.evaluations)
    again = self.ddgan.generate(
        model=first.model, version=first.version, seed=first.seed,
        first_index=1)
    self.assertEqual(again[0], first[1])
    self.assertNotEqual(self.ddgan.generate().seed, first.seed)

  def test_many_images_are_those_of_single_calls(self):
    images = self.ddgan.generate(130, seed=SEED, first_index=2**32 - 130)
    self.assertEqual([image.index for image in images],
                     list(range(2**32 - 130, 2**32)))
    for position in (0, 63, 64, 129):
      alone, = self.ddgan.generate(seed=SEED,
                                   first_index=2**32 - 130 + position)
      self.assertEqual(alone, images[position])

  def test_progress_changes_no_image(self):
    done = []
    images = self.ddgan.generate(
        70, seed=SEED, progress=lambda now, total: done.append((now, total)))
    self.assertEqual(list(images), list(self.ddgan.generate(70, seed=SEED)))
    self.assertEqual(sorted(done), done)
    self.assertEqual(done[-1], (70, 70))
    self.assertLessEqual(set(range(71)), {now for now, _ in done})
    self.assertGreater(images.timings.steps, 0)

  def test_a_stream_brings_the_same_images(self):
    events = list(self.ddgan.stream(70, seed=SEED, previews=True))
    images = {event.index: event for event in events
              if isinstance(event, ddgan.Image)}
    self.assertEqual([images[i] for i in range(70)],
                     list(self.ddgan.generate(70, seed=SEED)))
    steps = {}
    for event in events:
      if isinstance(event, ddgan.Preview):
        self.assertEqual(event.array.shape, images[0].array.shape)
        self.assertEqual(PIL.Image.open(io.BytesIO(event.png)).text,
                         dict(event._text()))
        steps.setdefault(event.index, []).append(event.steps_left)
    for of_image in steps.values():
      self.assertEqual(of_image, sorted(set(of_image), reverse=True))
    summaries = [event for event in events if isinstance(event, ddgan.Summary)]
    self.assertEqual(sum(summary.images for summary in summaries), 70)
    self.assertEqual(
        sum(summary.previews_sent + summary.previews_dropped
            for summary in summaries), 70 * (self.model.live.evaluations - 1))

  def strokes(self, size=None):
    channels, height, width = self.model.live.shape
    picture = PIL.Image.new('L' if channels == 1 else 'RGB',
                            size or (width, height))
    PIL.ImageDraw.Draw(picture).line([(0, 0), picture.size], fill='white',
                                     width=3)
    return picture

  def test_every_kind_of_guide_gives_the_same_images(self):
    strokes = self.strokes()
    made = self.ddgan.generate(2, seed=SEED, guide=strokes, guide_steps=2)
    self.assertEqual([image.steps for image in made], [2, 2])
    self.assertNotEqual(made[0].png, self.ddgan.generate(seed=SEED)[0].png)
    file = io.BytesIO()
    strokes.save(file, 'PNG')
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder, 'strokes.png')
      path.write_bytes(file.getvalue())
      for guide in (np.asarray(strokes), np.asarray(strokes) / 255.0,
                    file.getvalue(), path):
        self.assertEqual(
            list(self.ddgan.generate(2, seed=SEED, guide=guide,
                                     guide_steps=2)), list(made))
    again = self.ddgan.generate(seed=1, guide=made[0], guide_steps=1)
    self.assertEqual(again[0].steps, 1)

  def test_a_guide_of_another_size_is_refused_or_stretched(self):
    large = self.strokes((50, 30))
    self.assert_error(
        grpc.StatusCode.INVALID_ARGUMENT,
        lambda: self.ddgan.generate(guide=large, guide_steps=1), 'guide',
        '50x30')
    stretched = self.ddgan.generate(guide=large, guide_steps=1,
                                    guide_fit='resize')
    self.assertEqual(stretched.shape, self.model.live.shape)

  def test_keeps_the_servers_codes(self):
    self.assert_error(grpc.StatusCode.NOT_FOUND,
                      lambda: self.ddgan.generate(model='no-such-model'),
                      'no-such-model')
    self.assert_error(grpc.StatusCode.NOT_FOUND,
                      lambda: list(self.ddgan.stream(version=987654321)),
                      '987654321')
    self.assert_error(grpc.StatusCode.NOT_FOUND,
                      lambda: self.ddgan.models.get('no-such-model'))
    self.assert_error(grpc.StatusCode.NOT_FOUND,
                      lambda: self.ddgan.health('no.such.Service'))
    self.assertEqual(self.ddgan.health(), ddgan.HealthStatus.SERVING)

  def test_a_deadline_ends_the_work(self):
    # The server refuses what cannot be in time, or ends it when time is up.
    self.assert_error(grpc.StatusCode.DEADLINE_EXCEEDED,
                      lambda: self.ddgan.generate(10**6, timeout=0.5))
    self.assert_error(grpc.StatusCode.DEADLINE_EXCEEDED,
                      lambda: list(self.ddgan.stream(10**6, timeout=0.5)))
    self.assert_idle()

  def test_a_stream_that_is_left_ends_the_work(self):
    with self.ddgan.stream(10**6) as stream:
      self.assertIsInstance(next(stream), ddgan.Accepted)
    self.assert_idle()
    self.assertEqual(list(stream), [])
    self.assertEqual(len(self.ddgan.generate()), 1)

  def assert_idle(self):
    wait_until(
        lambda: Metrics(self.server).sum('ddgan_inflight_images') == 0,
        'the server goes on with what nobody waits for')


class ClientImagesTest(ImagesCases, SyncCases, unittest.TestCase):

  def test_threads_share_a_client(self):
    before = threading.active_count()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
      made = list(pool.map(lambda seed: self.ddgan.generate(2, seed=seed),
                           range(64)))
    for seed in (0, 31, 63):
      self.assertEqual(list(made[seed]),
                       list(self.ddgan.generate(2, seed=seed)))
    self.ddgan.close()
    wait_until(lambda: threading.active_count() <= before,
               f'{threading.enumerate()} stay')


class AsyncClientImagesTest(ImagesCases, AsyncCases, unittest.TestCase):

  def test_200_calls_at_once_leave_nothing_behind(self):
    address = self.server.grpc_address

    async def call(client, seed):
      if seed % 4 == 3:
        events = [event async for event in client.stream(seed=seed)]
        return events[1]
      return (await client.generate(seed=seed))[0]

    async def main():
      async with ddgan.AsyncClient(address) as client:
        made = await asyncio.gather(*(call(client, seed)
                                      for seed in range(200)))
        # A quarter of as many again is cancelled on the way.
        left = [asyncio.ensure_future(call(client, seed))
                for seed in range(50)]
        await asyncio.sleep(0)
        for task in left:
          task.cancel()
        ended = await asyncio.gather(*left, return_exceptions=True)
      return made, ended

    def descriptors():
      gc.collect()
      return len(os.listdir('/proc/self/fd'))

    def connections():
      return Metrics(self.server).sum('ddgan_connections')

    async def tasks():
      return len(asyncio.all_tasks())

    self.ddgan.close()
    self.run_in_loop(main())  # What gRPC opens once, it has opened.
    wait_until(lambda: connections() == 0, 'a connection stays')
    before = descriptors(), self.run_in_loop(tasks())
    made, ended = self.run_in_loop(main())
    self.assertEqual([image.seed for image in made], list(range(200)))
    self.assertEqual(len({image.png for image in made}), 200)
    self.assertEqual({type(end) for end in ended}, {asyncio.CancelledError})
    wait_until(
        lambda: (connections() == 0 and descriptors() <= before[0]
                 and self.run_in_loop(tasks()) == before[1]),
        'descriptors, connections or tasks stay')
    self.assert_idle()


if __name__ == '__main__':
  run_tests(__doc__, options)
