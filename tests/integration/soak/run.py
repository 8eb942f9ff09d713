"""One soak, from the versions that are made for it to its verdict."""

import asyncio
import contextlib
import dataclasses
import json
import pathlib
import random
import subprocess
import tempfile
import time

from certificates import Authority
from hot_reload import Publisher
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess
from soak import calls
from soak import judgement
from soak.disturbances import Disturbances
from soak.disturbances import Identity
from soak.disturbances import Versions
from soak.quiet_bytes import Quiet
from soak.resources import Samples

# Two lanes of one thread each, on any machine.
FLAGS = ['--devices=cpu:2', '--cpu_threads=2', '--warmup=ends',
         '--poll_interval=200ms',
         # The versions are sound, however far apart their images are.
         '--canary_max_mean_shift=2', '--canary_max_deviation_ratio=inf',
         '--log_format=json', '--log_level=warn']
PROGRESS_S = 10
CAPACITY_S = 3
# Of the capacity that was measured; the disturbances take some of it.
LOAD = 0.3
MAX_RATE = 60  # Calls per second: more is the callers' own limit.
# A quiet server starts for every version, so their number is bounded.
MAX_VERSIONS = 30
# Values that must be 0 when nobody calls any more.
LEFT_OVER = ('ddgan_inflight_images', 'ddgan_queue_depth', 'ddgan_reply_bytes')
LIMIT_S = 60


@dataclasses.dataclass
class Verdict:
  """What was seen, and a sentence for each thing that was violated."""
  figures: dict
  trends: dict  # judgement.Trend by the name of its bound.
  violations: list


class Soak:
  """`programs`: paths by the names server, publisher, source (the folder of a
  version) and failing_lane (None: no lane fails). `rate`: calls per
  second; None: by the measured capacity. `say` takes lines of progress.
  """

  def __init__(self, programs, proto_root, seconds, rate, judge_memory, seed,
               say):
    self._programs = programs
    self._stubs = generate_stubs(proto_root)
    self._seconds = seconds
    self._rate = rate
    self._bounds = [bound for bound in judgement.BOUNDS
                    if judge_memory or bound.name != 'memory']
    self._draw = random.Random(seed)
    self._say = say
    # In a short soak each disturbance still comes three times.
    turns = 2 if programs['failing_lane'] is None else 3
    self._every_s = max(seconds / (turns * MAX_VERSIONS), min(10, seconds / 10))
    self._versions_needed = int(seconds / self._every_s / turns) + 2

  def run(self):
    """Returns a Verdict."""
    with tempfile.TemporaryDirectory(prefix='ddgan-soak-') as name:
      folder = pathlib.Path(name)
      root = folder / 'models'
      versions = Versions(
          Publisher(self._programs['publisher'], self._programs['source'],
                    folder / 'hidden', calls.MODEL), root)
      versions.make(self._versions_needed)
      quiet = Quiet(self._programs['server'], self._stubs, FLAGS)
      self._say(f'asking a quiet server for the images of {versions.count} '
                'versions')
      for version in range(1, versions.count + 1):
        quiet.learn(versions.folder(version))
      versions.reveal_next()

      identity = Identity(Authority(folder, 'servers'), folder)
      switch, environment = None, {}
      if self._programs['failing_lane'] is not None:
        switch = folder / 'fail'
        environment = {
            'LD_PRELOAD': str(self._programs['failing_lane']),
            'DDGAN_FAILING_LANE': str(switch)}
      with ServerProcess(self._programs['server'], root,
                         [*FLAGS, *identity.flags],
                         environment=environment) as server:
        verdict = asyncio.run(
            self._soak(server, versions, identity, switch, quiet))
      self._say('asking a quiet server again')
      for version in sorted({1, versions.newest}):
        if different := quiet.differences(versions.folder(version)):
          verdict.violations.append(
              f'a quiet server gives {different} other images of version '
              f'{version} than before the soak')
      return verdict

  async def _soak(self, server, versions, identity, switch, quiet):
    callers = calls.Callers(self._stubs, server.grpc_address,
                            identity.authority.pem.read_bytes(), quiet,
                            self._draw)
    rate = self._rate
    if rate is None:
      capacity = await callers.measure_images_per_second(CAPACITY_S)
      # No slower than it takes for a short soak to have calls of every kind.
      rate = max(2 * len(calls.WEIGHTS) / self._seconds,
                 LOAD * capacity / calls.images_per_call(self._draw))
      rate = min(MAX_RATE, rate)
      self._say(f'{capacity:.0f} images/s in a closed loop; the load is '
                f'{rate:.1f} calls/s')
    begin = time.monotonic()
    until = begin + self._seconds
    samples = Samples(server.pid, begin)
    disturbances = Disturbances(server, callers, versions, identity, switch)
    violations = disturbances.violations
    try:
      await self._all_at_once(
          samples.take(min(1, self._seconds / 100), until),
          callers.call_at_random(rate, until),
          disturbances.run(self._every_s, until),
          self._tell(begin, until, samples, callers, disturbances))
    except OSError as error:  # Of /proc or /metrics.
      await asyncio.sleep(1)  # For the process to end, if that is why.
      code = server.exit_code()
      violations.append(
          f'the server does not answer: {error}' if code is None else
          f'the server ended in the middle of it with exit code {code}')
    self._say('waiting for the last calls')
    await callers.close()
    metrics = await self._rest(server)
    try:
      exit_code = await asyncio.to_thread(server.terminate, LIMIT_S)
    except subprocess.TimeoutExpired:
      exit_code = None
      violations.append(f'the server did not stop within {LIMIT_S} s')
    return self._judge(rate, samples, callers, disturbances, metrics, exit_code,
                       server.log(), violations)

  @staticmethod
  async def _all_at_once(*coroutines):
    """Until all have ended, or one has raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
      await asyncio.gather(*tasks)
    finally:
      for task in tasks:
        task.cancel()

  async def _tell(self, begin, until, samples, callers, disturbances):
    while (left := until - time.monotonic()) > 1:
      await asyncio.sleep(min(PROGRESS_S, left))
      took = samples.latest
      happened = ', '.join(f'{count} {name}'
                           for name, count in disturbances.counts.items())
      codes = ', '.join(f'{count} {code}'
                        for code, count in callers.ended().most_common())
      self._say(
          f'{time.monotonic() - begin:5.0f} s  {codes}, {callers.in_flight} '
          f'running; {happened}; {took["memory"]:.0f} MiB, '
          f'{took["descriptors"]} descriptors, {took["threads"]} threads; '
          f'{callers.bytes.compared.total()} pictures compared, '
          f'{callers.bytes.wrong} wrong')

  async def _rest(self, server):
    """The metrics, once nothing is left or has had its time to go; None if the
    server does not answer."""
    deadline = time.monotonic() + LIMIT_S
    while True:
      try:
        metrics = await asyncio.to_thread(Metrics, server)
      except OSError:
        return None
      if (not any(metrics.sum(name) for name in LEFT_OVER)
          or time.monotonic() > deadline):
        return metrics
      await asyncio.sleep(0.2)

  def _judge(self, rate, samples, callers, disturbances, metrics, exit_code,
             log, violations):
    lines = []
    for text in log.splitlines():
      with contextlib.suppress(json.JSONDecodeError):
        line = json.loads(text)
        if line.get('method') in ('Generate', 'GenerateStream'):
          lines.append(line)
    trends = {}
    for bound in self._bounds:
      try:
        trends[bound.name] = judgement.trend(
            samples.by_name.get(bound.name, []),
            judgement.warm_up_s(self._seconds))
      except ValueError as error:
        violations.append(f'{bound.name}: {error}')
        continue
      violations += judgement.judge_trend(bound, trends[bound.name])
    violations += judgement.judge_ends(callers.calls, lines)
    violations += judgement.judge_codes(callers.calls, disturbances.faults)
    violations += callers.broken
    violations += callers.bytes.judge()
    if metrics is None:
      violations.append('the server does not answer after the soak')
    else:
      violations += judgement.judge_rest(
          metrics.sum('ddgan_requests_total'), len(lines),
          metrics.sum('ddgan_access_log_lines_lost_total'),
          {name: metrics.sum(name) for name in LEFT_OVER}, exit_code)
    kinds = {kind: 0 for kind in calls.WEIGHTS}
    for call in callers.calls:
      kinds[call.kind] += 1
    if metrics is not None:  # Else that is enough of an answer.
      violations += judgement.judge_coverage({
          **disturbances.counts, **kinds,
          'calls that were OK': callers.ended()['OK'],
          'calls that their callers left':
              sum(call.left for call in callers.calls),
          'images of more than one version':
              len(callers.bytes.compared) > 1})
    figures = {
        'seconds': self._seconds, 'calls_per_second': rate,
        'calls': len(callers.calls), 'kinds': kinds,
        'ended': dict(callers.ended()), 'access_log_lines': len(lines),
        'images': callers.images,
        'pictures_compared': callers.bytes.compared.total(),
        'pictures_wrong': callers.bytes.wrong,
        'versions_compared': len(callers.bytes.compared),
        'disturbances': disturbances.counts}
    return Verdict(figures, trends, violations)
