"""What hot reload costs the callers of a busy server, in one run.

A server under an open loop (Poisson) at 70% of its capacity, measured first,
takes up one version after the other; each is published when the one before is
live and the server has had as long without a reload. Then:

  failed   calls without an OK
  mixed    replies whose bytes differ from the version's own: from those to the
           same question by another caller, or by a quiet server that has
           nothing but that version
  memory   resident, after the 10th and after the last version
  latency  p99 of the calls that were in flight at some time from a version's
           first byte on disk until half a second after it went live, against
           all others; also of those in flight within 250 ms of the swap

Run, on an otherwise idle machine:
  ~/.cache/ddgan/python/bin/python tests/benchmark/reload_benchmark.py \
      --build=build/release [--versions=200] [--json=reload.json]
"""

import argparse
import bisect
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'integration'))
# pylint: disable=g-import-not-at-top
import hot_reload
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

EARLY = 10  # Caches are full and allocators have settled.
AFTER_LIVE_S = 0.5
AROUND_SWAP_S = 0.25
LEAST_PAUSE_S = 1.0
ASK_EVERY_S = 0.05
SHARE_OF_CAPACITY = 0.7


class Reload(typing.NamedTuple):
  """One version's way to its callers, in seconds since 1970."""
  published_from: float
  live: float  # At most ASK_EVERY_S later than it was.


class Windows:
  """Spans of time, none of which overlap."""

  def __init__(self, spans):
    self._spans = sorted(spans)

  def overlap(self, begin, end):
    """Whether some time of [begin, end] lies in one of them."""
    at = bisect.bisect_right(self._spans, (end, float('inf')))
    return at > 0 and self._spans[at - 1][1] >= begin


def percentile(values, share):
  values = sorted(values)
  return values[min(len(values) - 1, int(share * len(values)))]


def capacity(arguments, server):
  """Calls per second of a closed loop."""
  with tempfile.NamedTemporaryFile(suffix='.json') as report:
    subprocess.run(
        [arguments.client, 'bench', f'--server={server.grpc_address}',
         f'--json={report.name}', f'--counts={arguments.counts}',
         f'--format={arguments.format}', '--concurrency=8', '--warmup=3s',
         '--standalone_calls=0', f'--duration={arguments.capacity_seconds}s'],
        check=True, stdout=subprocess.DEVNULL)
    return json.load(open(report.name))['calls_per_second']


def publish_one_after_another(arguments, publisher, server, models):
  """The reloads, and resident MiB after the early and after the last one."""
  reloads = []
  memory = {}
  pause = LEAST_PAUSE_S
  for number in range(1, arguments.versions + 1):
    time.sleep(AFTER_LIVE_S + pause)  # Calls in windows without a reload.
    begin = time.time()
    version = publisher.publish()
    models.wait_until_live(arguments.model, version, ASK_EVERY_S)
    reloads.append(Reload(begin, time.time()))
    pause = max(LEAST_PAUSE_S, reloads[-1].live - begin)
    if number in (EARLY, arguments.versions):
      memory[number] = server.memory_mib()
    if number % 10 == 0:
      print(f'{number} versions', file=sys.stderr)
  time.sleep(AFTER_LIVE_S + pause)
  return reloads, memory


def latencies(calls, reloads):
  """Milliseconds by where the calls were in flight."""
  while_reloading = Windows((one.published_from, one.live + AFTER_LIVE_S)
                            for one in reloads)
  at_swap = Windows((one.live - AROUND_SWAP_S, one.live + AROUND_SWAP_S)
                    for one in reloads)
  # A long call is more likely to meet a short window than a short call is, so
  # short windows are held against windows of the same length.
  between = [(before.live + AFTER_LIVE_S + after.published_from) / 2
             for before, after in zip(reloads, reloads[1:])]
  at_quiet_moment = Windows((moment - AROUND_SWAP_S, moment + AROUND_SWAP_S)
                            for moment in between)
  groups = {'without a reload': [], 'during a reload': [],
            'at a quiet moment': [], 'at a swap': []}
  for call in calls:
    if call['fate'] != 'ok':
      continue
    span = (call['due_unix'], call['ended_unix'])
    milliseconds = 1000 * call['latency']
    if while_reloading.overlap(*span):
      groups['during a reload'].append(milliseconds)
    else:
      groups['without a reload'].append(milliseconds)
    if at_swap.overlap(*span):
      groups['at a swap'].append(milliseconds)
    if at_quiet_moment.overlap(*span):
      groups['at a quiet moment'].append(milliseconds)
  return {name: {'calls': len(values), 'p50': percentile(values, 0.5),
                 'p99': percentile(values, 0.99), 'max': max(values)}
          for name, values in groups.items() if values}


def judge_bytes(arguments, stubs, publisher, by_version):
  """How many questions were asked, and on how many the answers disagree."""
  verdict = {'questions': 0, 'answered in several ways': 0,
             'not as by a quiet server': 0,
             'as by the version before': 0}
  for version, asked in sorted(by_version.items()):
    quiet = hot_reload.bytes_in_quiet(
        arguments.server, stubs, publisher, version, asked, arguments.format,
        '--warmup=ends', '--log_level=error')
    before = by_version.get(version - 1, {})
    for question, hashes in asked.items():
      verdict['questions'] += 1
      verdict['answered in several ways'] += len(hashes) > 1
      verdict['not as by a quiet server'] += hashes != quiet[question]
      # Of such a question a mix would not show.
      verdict['as by the version before'] += hashes == before.get(question)
  return verdict


def phases(metrics):
  """Mean seconds of each phase of a load."""
  name = 'ddgan_reload_duration_seconds'
  counts = metrics.values(name + '_count', 'phase')
  return {phase: total / counts[phase]
          for phase, total in metrics.values(name + '_sum', 'phase').items()
          if counts[phase]}


def run(arguments, folder):
  stubs = generate_stubs(ROOT / 'proto')
  publisher = hot_reload.Publisher(arguments.publisher, arguments.source,
                                   folder / 'models', arguments.model)
  publisher.publish(1)
  flags = ['--log_level=warn', *arguments.server_flag]
  with ServerProcess(arguments.server, folder / 'models', flags) as server, \
       hot_reload.ServerModels(server, stubs) as models:
    calls_per_second = capacity(arguments, server)
    rate = SHARE_OF_CAPACITY * calls_per_second
    with hot_reload.Load(
        arguments.client, server, f'--rate={rate:.3f}', '--seed=1',
        f'--counts={arguments.counts}', f'--format={arguments.format}',
        f'--seed_pool={arguments.seeds}') as load:
      reloads, memory = publish_one_after_another(arguments, publisher, server,
                                                  models)
      metrics = Metrics(server)
      report, calls = load.stop()
  by_version = hot_reload.bytes_by_call(calls)
  return {
      'capacity_calls_per_second': calls_per_second,
      'rate_calls_per_second': rate,
      'versions': len(reloads),
      'versions_with_replies': len(by_version),
      'calls': report['calls'],
      'errors': report['errors'],
      'sent_late': report['sent_late'],
      'resident_mib': memory,
      'latency_ms': latencies(calls, reloads),
      'reload_s': {'p50': percentile([one.live - one.published_from
                                      for one in reloads], 0.5),
                   'max': max(one.live - one.published_from
                              for one in reloads)},
      'reload_phase_mean_s': phases(metrics),
      'reloads': metrics.values('ddgan_reloads_total', 'result'),
      'bytes': judge_bytes(arguments, stubs, publisher, by_version),
  }


def row(*cells):
  print('| ' + ' | '.join(str(cell) for cell in cells) + ' |')


def print_table(result):
  calls = result['calls']
  row('hot reload', 'value')
  row('---', '---')
  row('load', f'{result["rate_calls_per_second"]:.1f} calls/s, '
      f'{SHARE_OF_CAPACITY:.0%} of capacity')
  row('versions taken up one after another', result['versions'])
  row('calls', calls['scheduled'])
  row('calls that failed', calls['scheduled'] - calls['ok'])
  for name, number in result['bytes'].items():
    row(f'bytes: {name}', number)
  for number, mib in result['resident_mib'].items():
    row(f'resident memory after version {number}', f'{mib:.1f} MiB')
  early, *_, last = result['resident_mib'].values()
  row('growth', f'{last / early - 1:+.1%}')
  for name, group in result['latency_ms'].items():
    row(f'p50, p99, maximum of the {group["calls"]} calls {name}',
        f'{group["p50"]:.0f}, {group["p99"]:.0f}, {group["max"]:.0f} ms')
  for name, quiet in (('during a reload', 'without a reload'),
                      ('at a swap', 'at a quiet moment')):
    if name in result['latency_ms'] and quiet in result['latency_ms']:
      ratio = (result['latency_ms'][name]['p99'] /
               result['latency_ms'][quiet]['p99'])
      row(f'p99 {name}, times that {quiet}', f'{ratio:.2f}')
  row('from publishing to live: median, longest',
      f'{result["reload_s"]["p50"]:.2f}, {result["reload_s"]["max"]:.2f} s')
  for phase, seconds in result['reload_phase_mean_s'].items():
    row(f'mean of phase {phase}', f'{seconds:.3f} s')


def bundled_version():
  """The folder of the newest version that the repository brings along."""
  model = ROOT / 'deploy' / 'models' / 'mnist'
  return max((f for f in model.iterdir() if f.name.isdecimal()),
             key=lambda folder: int(folder.name))


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--build', default=str(ROOT / 'build' / 'release'))
  parser.add_argument('--source', default=str(bundled_version()),
                      help='folder of the version that all others come from')
  parser.add_argument('--versions', type=int, default=200,
                      help=f'at least {EARLY + 1}')
  parser.add_argument('--counts', default='1,4')
  parser.add_argument('--format', default='png')
  parser.add_argument('--seeds', type=int, default=8)
  parser.add_argument('--capacity_seconds', type=float, default=15)
  parser.add_argument('--server_flag', action='append', default=[],
                      help='for the server, such as --keep_versions=4')
  parser.add_argument('--json', help='also writes all numbers there')
  arguments = parser.parse_args()
  build = pathlib.Path(arguments.build)
  arguments.server = str(build / 'server' / 'ddgan-server')
  arguments.client = str(build / 'client' / 'ddgan')
  arguments.publisher = str(build / 'tests' / 'integration' /
                            'publish_versions')
  arguments.model = pathlib.Path(arguments.source).parent.name
  if arguments.versions <= EARLY:
    parser.error(f'--versions must be above {EARLY}')
  with tempfile.TemporaryDirectory(prefix='ddgan-reload-') as folder:
    result = run(arguments, pathlib.Path(folder))
  print_table(result)
  if arguments.json:
    with open(arguments.json, 'w') as file:
      json.dump(result, file, indent=2)


if __name__ == '__main__':
  main()
