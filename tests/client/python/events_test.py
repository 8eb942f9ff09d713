"""Streams, watches, and what becomes of a pinned version, by both clients.

The server is a scripted one in this process (fake_server.py).
"""

import unittest
from unittest import mock

import grpc

import ddgan
from both_clients import AsyncCases
from both_clients import SyncCases
from fake_server import Failure
from fake_server import model
from fake_server import MODEL
from fake_server import model_event
from fake_server import removed_event
from fake_server import VERSION
from scripted_cases import ScriptedCases

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class EventsCases(ScriptedCases):

  def test_hands_on_a_stream_as_it_comes(self):
    events = list(self.quick().stream(3, previews=True, seed=7, first_index=5,
                                      output_type='np'))
    self.assertEqual(
        [type(event) for event in events],
        [ddgan.Accepted, *3 * [ddgan.Preview, ddgan.Image], ddgan.Summary])
    self.assertEqual((events[0].images_ahead, events[0].expected_start),
                     (5, 0.5))
    self.assertEqual([event.index for event in events[1:-1]],
                     [7, 7, 6, 6, 5, 5])
    self.assertEqual(events[1].steps_left, 1)
    self.assertEqual(events[-1].images, 3)
    self.assertEqual([type(event) for event in self.quick().stream(1)],
                     [ddgan.Accepted, ddgan.Image, ddgan.Summary])

  def test_tries_a_refused_stream_again(self):
    self.server.failures.append(Failure(UNAVAILABLE))
    self.assertEqual(len(list(self.quick().stream(2))), 4)
    self.assertEqual(len(self.server.requests()), 2)

  def test_repeats_no_stream_that_has_begun(self):
    self.server.stream_break = (2, Failure(UNAVAILABLE))
    stream = self.quick().stream(3)
    self.assertIsInstance(next(stream), ddgan.Accepted)
    self.assertEqual(next(stream).index, 2)
    self.assert_error(UNAVAILABLE, lambda: next(stream))
    self.assertEqual(len(self.server.requests()), 1)

  def test_refuses_a_stream_that_does_not_fit_the_request(self):
    def repeat(message):
      if message.HasField('image'):
        message.image.index = 0
    def stray(message):
      if message.HasField('image'):
        message.image.index += 2
    def accept(message):
      if message.HasField('summary'):
        message.accepted.model = 'again'
    def nothing(message):
      if message.HasField('summary'):
        message.Clear()
    def cut(message):
      if message.HasField('image'):
        message.image.data = b''
    def begin(message):
      if message.HasField('accepted'):
        message.summary.images = 2
    for change, words in (
        (repeat, 'image 0, which was not asked for or has come before'),
        (stray, 'image 3, which was not asked for'),
        (accept, 'the event accepted out of order'),
        (nothing, 'the event None out of order'),
        (begin, 'the event summary out of order'),
        (cut, 'image 1 has 0 bytes')):
      with self.subTest(change.__name__):
        self.server.tamper = change
        client = self.quick()
        self.assert_error(
            grpc.StatusCode.DATA_LOSS,
            lambda: list(client.stream(2, output_type='np')), words)

  def test_refuses_what_comes_after_the_summary(self):
    real = self.server._events

    def twice(request):
      events = list(real(request))
      return iter(events + events[-1:])

    with mock.patch.object(self.server, '_events', twice):
      self.assert_error(grpc.StatusCode.DATA_LOSS,
                        lambda: list(self.quick().stream(2)),
                        'the event summary out of order')

  def test_refuses_a_stream_that_ends_too_early(self):
    with mock.patch.object(self.server, '_events',
                           lambda request: iter(())):
      self.assert_error(grpc.StatusCode.DATA_LOSS,
                        lambda: list(self.quick().stream(2)),
                        '2 of the 2 images and without a summary')

  def test_reports_progress_and_begins_a_broken_part_anew(self):
    done = []
    self.server.stream_break = (2, Failure(UNAVAILABLE))
    images = self.quick().generate(
        66, progress=lambda now, total: done.append((now, total)))
    self.assertEqual([image.index for image in images], list(range(66)))
    self.assertEqual({total for _, total in done}, {66})
    # Zero, accepted, one image; then it breaks and begins at zero again.
    self.assertEqual([now for now, _ in done[:5]], [0, 0, 1, 0, 0])
    self.assertEqual(done[-1], (66, 66))
    self.assertEqual([request.count for request in self.server.requests()],
                     [64, 64, 2])
    self.assertEqual(images.timings.steps, 0.5)

  def test_an_early_end_of_a_stream_reaches_the_server(self):
    watch = self.quick().models.watch()
    self.server.watch_events = [model_event(model())]
    self.assertEqual(next(watch).name, MODEL)
    watch.close()
    self.server.await_callers_that_left(1)
    with self.quick().models.watch() as watch:
      next(watch)
    self.server.await_callers_that_left(2)
    self.assertEqual(list(watch), [])

  def test_controls_models(self):
    models = self.quick().models
    listed = models.list()
    self.assertEqual(listed.strays, ('a stray',))
    self.assertEqual([one.name for one in listed], [MODEL])
    version = models.get(MODEL).live
    self.assertEqual((version.version, version.state, version.evaluations),
                     (VERSION, ddgan.VersionState.LIVE, 4))
    self.assertEqual(version.loaded_at.isoformat(),
                     '2023-11-14T22:13:20.500000+00:00')
    self.assertIsNone(version.shape)
    self.assertEqual(models.pin(MODEL, 3).version, 3)
    self.assertEqual(models.unpin(MODEL).name, MODEL)
    self.assertEqual(models.rollback(MODEL).version, VERSION - 1)
    self.assertEqual(self.server.controls(), [
        'list', f'get {MODEL}', f'pin {MODEL} 3', f'unpin {MODEL}',
        f'roll back {MODEL}'])

  def test_waits_until_a_pinned_version_is_live(self):
    self.server.pinned_state = 'MODEL_VERSION_STATE_LOADING'
    loading = model(live=2, pinned=3, state='MODEL_VERSION_STATE_LOADING')
    self.server.watch_events = [
        removed_event('another'), model_event(loading),
        model_event(model(live=3, pinned=3))]
    models = self.quick().models
    self.assertEqual(models.pin(MODEL, 3).state, ddgan.VersionState.LIVE)
    self.server.await_callers_that_left(1)
    self.assertEqual(self.server.controls(), [f'pin {MODEL} 3', 'watch'])
    self.assertEqual(models.pin(MODEL, 3, wait=False).state,
                     ddgan.VersionState.LOADING)

  def test_says_what_became_of_a_pin(self):
    self.server.pinned_state = 'MODEL_VERSION_STATE_LOADING'
    refused = model(live=2, pinned=3, state='MODEL_VERSION_STATE_REFUSED',
                    reason='it is broken')
    models = self.quick().models
    for event, code, words in (
        (model_event(refused), grpc.StatusCode.FAILED_PRECONDITION,
         'it is broken'),
        (model_event(model(live=2, pinned=4)), grpc.StatusCode.ABORTED,
         'pinned 4'),
        (model_event(model(live=2)), grpc.StatusCode.ABORTED,
         'taken the pin back'),
        (model_event(model(live=2, pinned=3, version=2)),
         grpc.StatusCode.NOT_FOUND, 'gone'),
        (removed_event(MODEL), grpc.StatusCode.NOT_FOUND, 'gone')):
      self.server.watch_events = [event]
      self.assert_error(code, lambda: models.pin(MODEL, 3), words)
    self.server.watch_events = []
    self.assert_error(grpc.StatusCode.DEADLINE_EXCEEDED,
                      lambda: models.pin(MODEL, 3, timeout=2),
                      'stays pinned')

  def test_never_rolls_back_twice(self):
    self.server.failures.append(Failure(UNAVAILABLE))
    models = self.quick().models
    self.assert_error(UNAVAILABLE, lambda: models.rollback(MODEL))
    self.assertEqual(self.server.controls(), [f'roll back {MODEL}'])
    self.server.failures.append(Failure(UNAVAILABLE))
    models.pin(MODEL, 3)
    self.assertEqual(len(self.server.controls()), 3)

  def test_repeats_no_watch_that_has_begun(self):
    self.server.watch_events = [model_event(model()), removed_event(MODEL)]
    self.server.watch_end = Failure(UNAVAILABLE, 'it shuts down')
    self.server.failures.append(Failure(UNAVAILABLE))
    watch = self.quick().models.watch()
    self.assertEqual(next(watch).live_version, VERSION)
    self.assertEqual(next(watch), ddgan.ModelRemoved(MODEL))
    self.assert_error(UNAVAILABLE, lambda: next(watch), 'it shuts down')
    self.assertEqual(self.server.controls(), ['watch', 'watch'])

  def test_watches_no_longer_than_it_is_told(self):
    watch = self.quick().models.watch(timeout=0.2)
    self.assert_error(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(watch))

  def test_checks_health(self):
    client = self.quick()
    self.assertEqual(client.health(), ddgan.HealthStatus.SERVING)
    self.server.serving = 2
    self.assertEqual(client.health('a.Service'),
                     ddgan.HealthStatus.NOT_SERVING)
    self.assertEqual(self.server.controls()[-1], 'health a.Service')

  def test_what_a_newer_server_says_is_unknown(self):
    self.server.serving = 99
    self.assertEqual(self.quick().health(), ddgan.HealthStatus.UNKNOWN)
    newer = model()
    newer.versions[0].state = 99
    self.server.watch_events = [model_event(newer)]
    with self.quick().models.watch() as watch:
      self.assertEqual(next(watch).live.state, ddgan.VersionState.UNKNOWN)


class ClientEventsTest(EventsCases, SyncCases, unittest.TestCase):

  def test_a_loop_that_is_left_ends_the_call(self):
    self.server.watch_events = [model_event(model())]
    for _ in self.quick().models.watch():
      break
    self.server.await_callers_that_left(1)


class AsyncClientEventsTest(EventsCases, AsyncCases, unittest.TestCase):
  pass


if __name__ == '__main__':
  unittest.main(verbosity=2)
