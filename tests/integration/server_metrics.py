"""What a server's /metrics page says."""

import re
import urllib.request


class Metrics:
  """One scrape of /metrics."""

  def __init__(self, server):
    with urllib.request.urlopen(f'http://{server.http_address}/metrics',
                                timeout=10) as reply:
      text = reply.read().decode()
    self._samples = []
    for line in text.splitlines():
      match = re.fullmatch(r'(\w+)(?:\{(.*)\})? (\S+)', line)
      if match:
        labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ''))
        self._samples.append((match[1], labels, float(match[3])))

  def sum(self, name, **wanted):
    return sum(value for sample, labels, value in self._samples
               if sample == name and wanted.items() <= labels.items())

  def names(self):
    return {name for name, _, _ in self._samples}

  def values(self, name, label):
    """The metric's series, summed up by the value of one label."""
    values = {}
    for sample, labels, value in self._samples:
      if sample == name and label in labels:
        values[labels[label]] = values.get(labels[label], 0) + value
    return values
