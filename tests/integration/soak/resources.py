"""What a process takes, as the kernel counts it."""

import asyncio
import os
import time


def resources_of(pid):
  """By the names of judgement.BOUNDS: MiB, and two numbers.

  ProcessLookupError if it has ended.
  """
  with open(f'/proc/{pid}/status') as file:
    fields = dict(line.split(':', 1) for line in file)
  if 'VmRSS' not in fields:  # Ended, and not waited for yet.
    raise ProcessLookupError(f'process {pid} has ended')
  return {'memory': int(fields['VmRSS'].split()[0]) / 1024,
          'descriptors': len(os.listdir(f'/proc/{pid}/fd')),
          'threads': int(fields['Threads'])}


class Samples:
  """(seconds since `begin`, value) of each resource."""

  def __init__(self, pid, begin):
    self._pid = pid
    self._begin = begin
    self.by_name = {}
    self.latest = None

  async def take(self, every_s, until):
    while (now := time.monotonic()) < until:
      self.latest = resources_of(self._pid)
      for name, value in self.latest.items():
        self.by_name.setdefault(name, []).append((now - self._begin, value))
      await asyncio.sleep(every_s)
