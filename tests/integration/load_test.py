"""The real server under ddgan bench: what the caller counted, the metrics say.

Also: a storm of cancelled calls leaves nothing behind, and an overloaded server
refuses at once and is itself again afterwards. Loads are bounded by a number of
calls, and nothing here depends on how fast the machine is.

Run by CTest, or by hand:
  python load_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan \
      --model_root=build/release/tests/integration/tiny_models
"""

import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

from server_metrics import Metrics
from server_process import ServerProcess
from server_process import generate_stubs

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

LIMIT_S = 60  # For values that follow soon after the last reply.
MOST_LOADS = 20  # Until something was seen in the middle of one.

# What dashboards and alerts are promised, whatever else there is.
PROMISED_METRICS = {
    'ddgan_requests_total', 'ddgan_request_duration_seconds',
    'ddgan_queue_duration_seconds', 'ddgan_step_duration_seconds',
    'ddgan_step_batch_size', 'ddgan_images_total',
    'ddgan_time_to_first_preview_seconds', 'ddgan_encode_duration_seconds',
    'ddgan_queue_depth', 'ddgan_queue_oldest_age_seconds',
    'ddgan_inflight_images', 'ddgan_wasted_steps_total', 'ddgan_rejected_total',
    'ddgan_reloads_total', 'ddgan_reload_duration_seconds', 'ddgan_model_info',
    'ddgan_device_memory_bytes', 'ddgan_device_healthy', 'ddgan_build_info'}

options = None  # Set by main().
pb = images_grpc = None  # Set by main().


def bench(server, *flags, on_poll=lambda: None):
  """The JSON report of one load; calls on_poll again and again meanwhile."""
  with tempfile.NamedTemporaryFile(suffix='.json') as report:
    with subprocess.Popen(
        [options.client, 'bench', f'--server={server.grpc_address}',
         f'--json={report.name}', '--warmup=0s', *flags],
        stdout=subprocess.DEVNULL) as load:
      deadline = time.monotonic() + 500
      while load.poll() is None:
        if time.monotonic() > deadline:
          load.kill()
          raise AssertionError('the load has not ended')
        on_poll()
        time.sleep(0.05)
    if load.returncode != 0:
      raise AssertionError(f'ddgan bench ended with {load.returncode}')
    with open(report.name) as file:
      return json.load(file)


def cancel_streams(server, streams):
  """Begins so many streams with previews side by side; every other one is
  cancelled after its first events. Returns how many were."""
  def run(number):
    with grpc.insecure_channel(server.grpc_address) as channel:
      call = images_grpc.ImageGenerationStub(channel).GenerateStream(
          pb.GenerateStreamRequest(
              request=pb.GenerateRequest(count=8, seed=number), previews=True),
          timeout=LIMIT_S)
      try:
        for events, _ in enumerate(call):
          if number % 2 == 0 and events == number % 6:
            call.cancel()
      except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.CANCELLED:
          raise
        return 1
      return 0
  with concurrent.futures.ThreadPoolExecutor(16) as threads:
    return sum(threads.map(run, range(streams)))


def wait_until_idle(server):
  """The metrics, once nothing is in flight any more."""
  deadline = time.monotonic() + LIMIT_S
  while True:
    metrics = Metrics(server)
    if (metrics.sum('ddgan_inflight_images') == 0
        and metrics.sum('ddgan_queue_depth') == 0):
      return metrics
    if time.monotonic() > deadline:
      raise AssertionError('images are still in flight')
    time.sleep(0.1)


class LoadTest(unittest.TestCase):

  def test_metrics_agree_with_what_the_caller_counted(self):
    with ServerProcess(options.server, options.model_root,
                       ['--devices=cpu:2']) as server:
      calls = 0
      seen_amid = False
      # A machine may be through with a load before anybody looks.
      for _ in range(MOST_LOADS):
        before = Metrics(server)
        scrapes = []
        report = bench(server, '--concurrency=8', '--calls=300',
                       '--counts=1-16', '--classes=interactive:0.5,batch:0.5',
                       '--client_ids=3', '--seed_pool=5', '--verify',
                       '--standalone_calls=0',
                       on_poll=lambda: scrapes.append(Metrics(server)))
        calls += 300
        self.assertEqual(report['calls']['ok'], 300)
        self.assertEqual(report['errors'], {})
        # Equal seeds gave equal bytes in any company.
        self.assertGreater(report['verify']['compared'], 500)
        self.assertEqual(report['verify']['mismatches'], 0)
        metrics = wait_until_idle(server)
        # A scrape in the middle of it sees work, and counts that only grow.
        seen_amid = any(scrape.sum('ddgan_inflight_images') > 0
                        for scrape in scrapes)
        for name in ('ddgan_images_total', 'ddgan_requests_total',
                     'ddgan_step_duration_seconds_count'):
          first, last = before.sum(name), metrics.sum(name)
          values = [scrape.sum(name) for scrape in scrapes]
          self.assertEqual([first, *values, last],
                           sorted([first, *values, last]))
          seen_amid &= any(first < value < last for value in values)
        if seen_amid:
          break
      self.assertTrue(seen_amid)
      self.assertEqual(metrics.sum('ddgan_requests_total', code='OK'), calls)
      self.assertEqual(
          metrics.sum('ddgan_request_duration_seconds_count', code='OK'), calls)
      self.assertEqual(metrics.sum('ddgan_queue_duration_seconds_count'), calls)
      images = metrics.sum('ddgan_images_total')
      self.assertEqual(metrics.sum('ddgan_encode_duration_seconds_count'), images)
      self.assertEqual(metrics.sum('ddgan_step_batch_size_sum'), 4 * images)
      self.assertEqual(metrics.sum('ddgan_wasted_steps_total'), 0)
      for device in ('cpu:0', 'cpu:1'):
        self.assertGreater(
            metrics.sum('ddgan_step_duration_seconds_count', device=device), 0)
        self.assertEqual(metrics.sum('ddgan_device_healthy', device=device), 1)

  def test_a_storm_of_cancelled_calls_leaves_nothing_behind(self):
    with ServerProcess(options.server, options.model_root) as server:
      # A call is cancelled within the time that it would take alone.
      report = bench(server, '--rate=400', '--calls=1000', '--counts=1-8',
                     '--cancel=0.5', '--standalone_calls=3')
      calls = report['calls']
      self.assertEqual(calls['scheduled'], 1000)
      # Up to half of those that were not refused before, as some are done before
      # they would be cancelled.
      taken = calls['scheduled'] - calls['refused']
      self.assertGreater(taken, 200)
      self.assertGreater(calls['cancelled'] / taken, 0.2)
      self.assertEqual(calls['failed'] + calls['unanswered'], 0)
      self.assertEqual(cancel_streams(server, streams=64), 32)
      metrics = wait_until_idle(server)
      # What was run and not delivered is waste, step by step.
      self.assertGreater(
          metrics.sum('ddgan_wasted_steps_total', reason='cancelled'), 0)
      self.assertEqual(
          metrics.sum('ddgan_step_batch_size_sum'),
          4 * metrics.sum('ddgan_images_total')
          + metrics.sum('ddgan_wasted_steps_total'))
      self.assertEqual(server.terminate(), 0)

  def test_an_overloaded_server_refuses_and_keeps_what_it_promised(self):
    with ServerProcess(options.server, options.model_root,
                       ['--max_queued_images=64']) as server:
      # Sixty-four callers, and room for four.
      report = bench(server, '--concurrency=64', '--calls=3000', '--counts=16',
                     '--deadlines=none:0.5,20s:0.5', '--standalone_calls=0')
      calls = report['calls']
      self.assertGreater(calls['refused'], 500)
      self.assertGreaterEqual(calls['ok'], 4)
      self.assertEqual(calls['ok'] + calls['refused'], 3000)
      metrics = wait_until_idle(server)
      self.assertEqual(metrics.sum('ddgan_rejected_total'), calls['refused'])
      after = bench(server, '--concurrency=1', '--calls=5', '--counts=4',
                    '--standalone_calls=0')
      self.assertEqual(after['calls']['ok'], 5)

  def test_every_metric_is_documented_and_those_promised_are_there(self):
    with ServerProcess(options.server, options.model_root,
                       ['--max_queued_images=64']) as server:
      # One call too many at a time, and streams that are cancelled.
      bench(server, '--concurrency=3', '--calls=9', '--counts=64',
            '--standalone_calls=0')
      cancel_streams(server, streams=2)
      wait_until_idle(server)
      names = {re.sub('_(bucket|sum|count)$', '', name)
               for name in Metrics(server).names()}
    self.assertEqual(PROMISED_METRICS - names, set())
    with open(options.readme) as file:
      documented = set(re.findall(r'`(ddgan_\w+)`', file.read()))
    self.assertEqual({n for n in names if n.startswith('ddgan_')} - documented,
                     set())


def main():
  global options, pb, images_grpc
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--client', required=True, help='the ddgan binary')
  parser.add_argument('--model_root', required=True)
  parser.add_argument('--readme', required=True, help='server/OPERATING.md')
  options, rest = parser.parse_known_args()
  pb, images_grpc, _, _ = generate_stubs(REPOSITORY / 'proto')
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
