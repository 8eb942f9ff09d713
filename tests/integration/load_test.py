"""The real server under ddgan bench: what the caller counted, the metrics say.

Also: a storm of cancelled calls leaves nothing behind, and an overloaded server
refuses at once and is itself again afterwards. Loads are bounded by a number of
calls, and nothing here depends on how fast the machine is.

Run by CTest, or by hand:
  python load_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan --model_root=deploy/models
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import unittest

from server_metrics import Metrics
from server_process import ServerProcess

LIMIT_S = 60  # For values that follow soon after the last reply.

options = None  # Set by main().


def bench(server, *flags):
  """The JSON report of one load."""
  with tempfile.NamedTemporaryFile(suffix='.json') as report:
    subprocess.run(
        [options.client, 'bench', f'--server={server.grpc_address}',
         f'--json={report.name}', '--warmup=0s', *flags],
        check=True, stdout=subprocess.DEVNULL, timeout=500)
    with open(report.name) as file:
      return json.load(file)


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
      report = bench(server, '--concurrency=8', '--calls=300', '--counts=1-16',
                     '--classes=interactive:0.5,batch:0.5', '--client_ids=3',
                     '--seed_pool=5', '--verify', '--standalone_calls=0')
      self.assertEqual(report['calls']['ok'], 300)
      self.assertEqual(report['errors'], {})
      # Equal seeds gave equal bytes in any company.
      self.assertGreater(report['verify']['compared'], 500)
      self.assertEqual(report['verify']['mismatches'], 0)
      metrics = wait_until_idle(server)
      calls = 300
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
                     '--cancel=0.5', '--standalone_calls=1')
      calls = report['calls']
      self.assertEqual(calls['scheduled'], 1000)
      self.assertGreater(calls['cancelled'], 100)
      self.assertEqual(calls['failed'] + calls['unanswered'], 0)
      metrics = wait_until_idle(server)
      # What was run and not delivered is waste, step by step.
      self.assertEqual(
          metrics.sum('ddgan_step_batch_size_sum'),
          4 * metrics.sum('ddgan_images_total')
          + metrics.sum('ddgan_wasted_steps_total'))
      self.assertEqual(server.terminate(), 0)

  def test_an_overloaded_server_refuses_and_keeps_what_it_promised(self):
    with ServerProcess(options.server, options.model_root,
                       ['--max_queued_images=64']) as server:
      report = bench(server, '--rate=3000', '--calls=3000', '--counts=16',
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

  def test_every_metric_is_documented(self):
    with ServerProcess(options.server, options.model_root) as server:
      bench(server, '--concurrency=1', '--calls=2', '--counts=1',
            '--standalone_calls=0')
      names = {re.sub('_(bucket|sum|count)$', '', name)
               for name in Metrics(server).names()}
    with open(options.readme) as file:
      documented = set(re.findall(r'`(ddgan_\w+)`', file.read()))
    self.assertEqual({n for n in names if n.startswith('ddgan_')} - documented,
                     set())


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--client', required=True, help='the ddgan binary')
  parser.add_argument('--model_root', required=True)
  parser.add_argument('--readme', required=True, help='server/README.md')
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
