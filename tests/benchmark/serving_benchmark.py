"""The server under load against what it could do at best, in one run.

  saturation  images/s of the server with all rows full, against the sampler in
              a bare loop (bare_sampler), PNG on and off, taken in turns
  poisson     an open loop at 50, 80 and 95% of capacity with counts from 1 to
              16
  overload    5 times capacity with deadlines: refusals, kept deadlines, memory,
              and how soon full speed is back
  traces      images/s of the server with every call traced, and of one with
              none beside it at the same time; the collector takes the spans and
              does not look at them
  cache       images/s of the server that keeps images, and of one beside it that
              does not; no image is asked for twice, so all are misses

Run, on an otherwise idle machine:
  ~/.cache/ddgan/python/bin/python tests/benchmark/serving_benchmark.py \
      --build=build/release [--seconds=60] [--only=poisson]
Another build's server beside it, in turns, with the same client and load:
      --against=../other/build/release
On a GPU, with larger batches and as many calls at once as fill them:
      --build=build/cuda --device=cuda:0 --precision=bfloat16 --batch=64
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'integration'))
# pylint: disable=g-import-not-at-top
from server_metrics import Metrics
from server_process import ServerProcess

CALLERS = 8


class Bench:
  """The binaries, and one way to run each."""

  def __init__(self, arguments):
    self.build = pathlib.Path(arguments.build)
    # By the name in the tables; the first is the one that is measured alone.
    self.servers = {'this': self.build}
    if arguments.against:
      self.servers['other'] = pathlib.Path(arguments.against)
    self.model_root = str(arguments.model_root)
    self.model = arguments.model
    self.seconds = arguments.seconds
    self.device = arguments.device
    self.precision = arguments.precision
    # The largest batch in the Poisson runs.
    self.batch = arguments.batch
    self.rounds = arguments.rounds
    self.shares = [float(share) for share in arguments.shares.split(',')]
    # Of a closed loop: calls of 16 images that fill a batch and the next.
    self.concurrency = 4 if self.device == 'cpu' else self.batch // 4

  def server(self, *flags, which='this'):
    return ServerProcess(
        str(self.servers[which] / 'server' / 'ddgan-server'), self.model_root,
        [f'--devices={"auto" if self.device == "cpu" else self.device}',
         f'--precision={self.precision}', '--log_level=error', *flags])

  def bare(self, batch):
    """Images/s of the sampler alone."""
    result = subprocess.run(
        [str(self.build / 'tests' / 'benchmark' / 'bare_sampler'),
         self.model_root, self.model, str(batch), str(self.seconds / 3),
         self.device, self.precision],
        check=True, capture_output=True, text=True,
        env={**os.environ, 'OMP_WAIT_POLICY': 'PASSIVE'})
    return float(result.stdout)

  def load(self, server, *flags, seconds=None):
    """The report of one ddgan bench run."""
    with tempfile.NamedTemporaryFile(suffix='.json') as report:
      subprocess.run(
          [str(self.build / 'client' / 'ddgan'), 'bench',
           f'--server={server.grpc_address}', f'--model={self.model}',
           f'--json={report.name}',
           f'--duration={seconds or self.seconds}s', '--warmup=3s', *flags],
          check=True, stdout=subprocess.DEVNULL)
      return json.load(open(report.name))


def row(*cells):
  print('| ' + ' | '.join(str(cell) for cell in cells) + ' |', flush=True)


def head(*cells):
  row(*cells)
  row(*['---'] * len(cells))


def mean(values):
  return sum(values) / len(values)


def ms(seconds):
  return '-' if seconds is None else f'{seconds * 1000:.0f} ms'


def saturation(bench):
  """Returns the server's capacity in images/s."""
  closed = [f'--concurrency={bench.concurrency}', '--counts=16',
            '--standalone_calls=1']
  batch = (2 * len(os.sched_getaffinity(0)) if bench.device == 'cpu' else
           bench.batch)
  bare, rates = [], {}
  for _ in range(bench.rounds):
    bare.append(bench.bare(batch))
    for which in bench.servers:
      with bench.server(which=which) as server:
        for form in ('raw8', 'png'):
          report = bench.load(server, f'--format={form}', *closed,
                              seconds=bench.seconds / 3)
          rates.setdefault((which, form), []).append(
              report['images_per_second'])
  head('at saturation', 'images/s', 'of the bare sampler')
  row('bare sampler loop', f'{mean(bare):.1f}', '1')
  for (which, form), measured in rates.items():
    rate = mean(measured)
    row(f'{which} server, {form}', f'{rate:.1f}', f'{rate / mean(bare):.3f}')
  print()
  return mean(rates['this', 'png'])


def poisson(bench, capacity):
  mean_count = 8.5
  head('load', 'server', 'p50', 'p99', 'within 3x', 'images/s', 'errors')
  for share in bench.shares:
    for which in bench.servers:
      with bench.server(f'--max_batch_size={bench.batch}',
                        which=which) as server:
        report = bench.load(
            server, f'--rate={share * capacity / mean_count:.3f}',
            '--counts=1-16', '--seed=1', f'--client_ids={CALLERS}')
      latency = report['latency'][0] if isinstance(
          report['latency'], list) else report['latency']['all']
      row(f'{share:.0%}', which, ms(latency['p50']), ms(latency['p99']),
          f'{100 * latency["within_3x"]:.0f}%', f'{report["images_per_second"]:.1f}',
          report['errors'])
  print()


def overload(bench, capacity):
  mean_count = 8.5
  with bench.server() as server:
    before = server.memory_mib()
    report = bench.load(
        server, f'--rate={5 * capacity / mean_count:.3f}', '--counts=1-16',
        '--deadlines=2s', f'--client_ids={CALLERS}')
    peak = server.memory_mib('VmHWM')
    time.sleep(2)
    after = bench.load(server, f'--concurrency={bench.concurrency}',
                       '--counts=16', '--standalone_calls=1', seconds=10)
  calls = report['calls']
  latency = report['latency']
  refused = latency['refused'] if isinstance(latency, dict) else next(
      r for r in latency if r['group'] == 'refused')
  head('5 times capacity, deadlines of 2 s', 'value')
  row('calls', calls['scheduled'])
  row('OK in time', calls['ok'])
  row('refused', calls['refused'])
  row('accepted and late', calls['failed'] + calls['unanswered'])
  row('errors', report['errors'])
  row('refused: p50', f'{refused["p50"] * 1000:.1f} ms')
  row('refused: p99', f'{refused["p99"] * 1000:.1f} ms')
  row('images/s meanwhile', f'{report["images_per_second"]:.1f}')
  row('resident memory before, and at most', f'{before:.0f}, {peak:.0f} MiB')
  row('images/s from 2 s after', f'{after["images_per_second"]:.1f}')
  print()


def discarding_collector():
  """An OTLP collector whose spans are never parsed, and its address."""
  server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
  server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
      'opentelemetry.proto.collector.trace.v1.TraceService',
      {'Export': grpc.unary_unary_rpc_method_handler(
          lambda request, context: b'')}),))
  port = server.add_insecure_port('127.0.0.1:0')
  server.start()
  return server, f'127.0.0.1:{port}'


def cpu_seconds(pid):
  """What a process has used of all processors so far."""
  with open(f'/proc/{pid}/stat') as file:
    user, system = file.read().rpartition(')')[2].split()[11:13]
  return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')


def side_by_side(bench, count, *flags):
  """A server without the flags and one with them, at once, all rows full.

  So whatever else slows the machine slows both. Returns cells of a row: the
  ratio by images/s, which each other's turns on the processors blur, and that by
  processor time for an image; and the metrics of each server with the flags.
  """
  def measure(server):
    before, start = Metrics(server), cpu_seconds(server.pid)
    report = bench.load(server, f'--counts={count}', '--standalone_calls=1',
                        f'--concurrency={16 * bench.concurrency // count}',
                        seconds=bench.seconds / 3)
    used, after = cpu_seconds(server.pid) - start, Metrics(server)
    images = after.sum('ddgan_images_total') - before.sum('ddgan_images_total')
    return report['images_per_second'], images / used, after

  by_rate, by_time, metrics = [], [], []
  for turn in range(bench.rounds):
    with contextlib.ExitStack() as servers:
      # The first to start may have it easier; each is it in every other round.
      kinds = [(), flags][::-1 if turn % 2 else 1]
      pair = [servers.enter_context(bench.server('--access_log=none', *kind))
              for kind in kinds]
      with concurrent.futures.ThreadPoolExecutor() as pool:
        measured = dict(zip(kinds, pool.map(measure, pair)))
    by_rate.append(measured[flags][0] / measured[()][0])
    by_time.append(measured[flags][1] / measured[()][1])
    metrics.append(measured[flags][2])
  return [count, *(f'{mean(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})'
                   for ratios in (by_rate, by_time))], metrics


def by_result(metrics, name):
  """A counter of several servers, added up by its label result."""
  counts = collections.Counter()
  for page in metrics:
    counts.update(page.values(name, 'result'))
  return {result: int(count) for result, count in counts.items()}


def traces(bench):
  head('images of a call', 'images/s, all traced / none',
       'images per processor second', 'spans', 'lost')
  collector, address = discarding_collector()
  for count in (1, 16):
    cells, metrics = side_by_side(bench, count, f'--otlp_endpoint={address}')
    spans = by_result(metrics, 'ddgan_trace_spans_total')
    row(*cells, sum(spans.values()), spans['failed'] + spans['queue_full'])
  collector.stop(None)
  print()


def cache(bench):
  head('images of a call', 'images/s, kept / not',
       'images per processor second', 'made', 'not made')
  for count in (1, 16):
    cells, metrics = side_by_side(bench, count, '--image_cache_mib=64')
    images = by_result(metrics, 'ddgan_image_cache_images_total')
    row(*cells, images['miss'], images['hit'] + images['coalesced'])
  print()


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--build', default=str(ROOT / 'build' / 'release'))
  parser.add_argument('--against', help='another build folder')
  parser.add_argument('--model_root', default=str(ROOT / 'deploy' / 'models'))
  parser.add_argument('--model', default='mnist')
  parser.add_argument('--seconds', type=float, default=60)
  parser.add_argument(
      '--only',
      choices=['saturation', 'poisson', 'overload', 'traces', 'cache'])
  parser.add_argument('--device', default='cpu', help='cpu or cuda:N')
  parser.add_argument('--precision', default='float32')
  parser.add_argument('--batch', type=int, default=16,
                      help='largest batch of the Poisson runs')
  parser.add_argument('--rounds', type=int, default=3,
                      help='of what is measured in turns')
  parser.add_argument('--shares', default='0.5,0.8,0.95',
                      help='loads of the Poisson runs, of capacity')
  arguments = parser.parse_args()
  bench = Bench(arguments)
  if arguments.only in (None, 'traces'):
    traces(bench)
  if arguments.only in (None, 'cache'):
    cache(bench)
  if arguments.only in ('traces', 'cache'):
    return
  capacity = saturation(bench)
  if arguments.only in (None, 'poisson'):
    poisson(bench, capacity)
  if arguments.only in (None, 'overload'):
    overload(bench, capacity)


if __name__ == '__main__':
  main()
