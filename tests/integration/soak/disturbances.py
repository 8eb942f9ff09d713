"""What a server has to live through in a soak: one thing at a time, in turns.
"""

import asyncio
import itertools
import math
import pathlib
import shutil
import time

from server_metrics import Metrics
from soak import calls

# For whatever the server is to take up, on the slowest machine.
LIMIT_S = 60
# Calls that go on for so long after a disturbance has begun meet it.
SEEN_WITHIN_S = 3
# A call that failed last may end after the lane was seen well.
FAULT_ECHO_S = 1
# Beside the newest on disk; older ones are taken away.
VERSIONS_KEPT = 3


class NotInTime(Exception):
  """What did not happen within LIMIT_S, as a sentence."""


class Versions:
  """Made before the soak in a hidden folder, then moved into sight by turns."""

  def __init__(self, publisher, root):
    """`publisher` (hot_reload.Publisher) publishes into the hidden folder, on the
    file system of the model root `root`."""
    self._publisher = publisher
    self._seen = pathlib.Path(root) / calls.MODEL
    self._seen.mkdir(parents=True)
    self.newest = 0
    self.count = 0

  def make(self, count):
    """Versions 1 to `count`."""
    self._publisher.publish(1, f'--count={count}')
    self.count = count

  def folder(self, version):
    seen = self._seen / str(version)
    return seen if seen.exists() else self._publisher.folder / str(version)

  def reveal_next(self):
    """In one step. Returns its number."""
    self.newest += 1
    name = str(self.newest)
    (self._publisher.folder / name).rename(self._seen / name)
    old = str(self.newest - VERSIONS_KEPT - 1)
    if (self._seen / old).exists():
      (self._seen / old).rename(self._publisher.folder / old)
    return self.newest


class Identity:
  """The certificate and key that the server reads."""

  def __init__(self, authority, folder):
    self.authority = authority  # certificates.Authority
    self._certificate = pathlib.Path(folder) / 'cert.pem'
    self._key = pathlib.Path(folder) / 'key.pem'
    self.swap()

  @property
  def flags(self):
    return [f'--tls_cert={self._certificate}', f'--tls_key={self._key}']

  def swap(self):
    """One file after the other and in place: the least careful way."""
    certificate, key = self.authority.sign()
    shutil.copy(certificate, self._certificate)
    shutil.copy(key, self._key)


class Disturbances:
  """Reloads, swaps of certificates, a failing lane; each waits until the server
  is over it, and is a violation if that takes longer than LIMIT_S.

  `switch`: the file for whose time failing_lane.cc lets a lane fail;
  None to leave that out.
  """

  def __init__(self, server, callers, versions, identity, switch):
    self._server = server
    self._callers = callers
    self._versions = versions
    self._identity = identity
    self._switch = switch
    self.faults = []  # (begin, end) in seconds of time.monotonic().
    self.violations = []
    self.counts = {'reloads': 0, 'certificate swaps': 0}
    self.turns = [self._reload, self._swap_certificate]
    if switch is not None:
      self.counts['lane failures'] = 0
      self.turns.append(self._fail_lane)

  async def run(self, every_s, until):
    """One every `every_s`, or later if the one before took longer."""
    for number, disturb in enumerate(itertools.cycle(self.turns), start=1):
      begin = time.monotonic()
      if begin + every_s + SEEN_WITHIN_S > until:
        return
      await asyncio.sleep(every_s)
      try:
        await disturb()
      except NotInTime as error:
        self.violations.append(str(error))
        return
      if number % len(self.turns) == 0:
        await self._callers.renew_connection()

  async def _metrics(self):
    return await asyncio.to_thread(Metrics, self._server)

  async def _wait(self, what, is_so):
    """Until is_so(metrics)."""
    deadline = time.monotonic() + LIMIT_S
    while not is_so(await self._metrics()):
      if time.monotonic() > deadline:
        raise NotInTime(f'{what} did not happen within {LIMIT_S} s')
      await asyncio.sleep(0.1)

  async def _reload(self):
    if self._versions.newest == self._versions.count:
      return
    version = self._versions.reveal_next()
    await self._wait(f'reload of version {version}',
                     lambda metrics: metrics.sum('ddgan_model_info',
                                                 version=str(version)) == 1)
    self.counts['reloads'] += 1

  async def _swap_certificate(self):
    taken = lambda metrics: metrics.sum('ddgan_tls_reloads_total',
                                        result='taken')
    before = taken(await self._metrics())
    await asyncio.to_thread(self._identity.swap)
    await self._wait('taking up a new certificate',
                     lambda metrics: taken(metrics) > before)
    self.counts['certificate swaps'] += 1

  async def _fail_lane(self):
    """Until a lane is out, and then until every lane is well again."""
    begin = time.monotonic()
    self.faults.append((begin, math.inf))
    self._switch.touch()
    try:
      await self._wait('failure of a lane',
                       lambda metrics: not self._are_lanes_well(metrics))
    finally:
      self._switch.unlink()
    await self._wait('return of the lane that failed', self._are_lanes_well)
    self.faults[-1] = (begin, time.monotonic() + FAULT_ECHO_S)
    self.counts['lane failures'] += 1

  @staticmethod
  def _are_lanes_well(metrics):
    lanes = metrics.values('ddgan_device_healthy', 'device')
    return bool(lanes) and all(value == 1 for value in lanes.values())
