"""A real Prometheus and Alertmanager, on ports of the loopback, for tests.

They run the product's own files in deploy/prometheus/. Where hours matter,
`shortened` makes seconds of them.
"""

import argparse
import http.server
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from loopback_ports import free_port

CONFIGURATION = (pathlib.Path(__file__).resolve().parents[2]
                 / 'deploy' / 'prometheus')
LIMIT_S = 180  # For a program to start, and for each value to appear.
SCRAPE_MS = 500  # A busy machine may take long to answer.

_MILLISECONDS = {'ms': 1, 's': 1000, 'm': 60_000, 'h': 3_600_000,
                 'd': 86_400_000}
_DURATION = r'(\d+)(ms|s|m|h|d)'


def shortened(text, divisor):
  """A rule file or configuration with all its durations divided.

  These are `for:`, `interval:` and the like, ranges such as [5m], and offsets.
  Numbers of seconds that an expression compares with stay as they are, and so
  do the names of recorded series.
  """
  def divide(match):
    milliseconds = int(match[2]) * _MILLISECONDS[match[3]] // divisor
    return f'{match[1]}{milliseconds}ms'
  return re.sub(
      rf'(\b(?:for|\w*interval|\w*wait):\s+|\[|\boffset\s+){_DURATION}\b',
      divide, text)


def replaced(text, replacements):
  """The text with each key, which must be in it, replaced by its value."""
  for old, new in replacements.items():
    if old not in text:
      raise ValueError(f'{old!r} is not in the rules any more')
    text = text.replace(old, new)
  return text


def argument_parser(description):
  """Of a test that runs servers and trainers under a Prometheus."""
  parser = argparse.ArgumentParser(description=description)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--client', required=True, help='the ddgan binary')
  parser.add_argument('--trainer', required=True, help='the ddgan-train binary')
  parser.add_argument('--publisher', required=True,
                      help='the publish_versions binary')
  parser.add_argument('--model_root', required=True,
                      help='its first version is the one that all come from')
  parser.add_argument('--prometheus', required=True)
  return parser


class _Process:
  """A program with a folder of its own. A context manager, which ends it."""

  def __init__(self, name):
    self._name = name
    self._temporary = tempfile.TemporaryDirectory(prefix=f'ddgan-{name}-')
    self.folder = pathlib.Path(self._temporary.name)
    self.address = f'127.0.0.1:{free_port()}'

  def _start(self, *command):
    with open(self.folder / 'log', 'wb') as log:
      self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, cwd=self.folder)
    deadline = time.monotonic() + LIMIT_S
    while not self._is_ready():
      if self._process.poll() is not None or time.monotonic() > deadline:
        log = self.log()
        self._end()
        raise RuntimeError(f'{self._name} did not start:\n{log}')
      time.sleep(0.05)

  def _is_ready(self):
    try:
      with urllib.request.urlopen(f'http://{self.address}/-/ready', timeout=5):
        return True
    except (OSError, urllib.error.URLError):
      return False

  def log(self):
    return (self.folder / 'log').read_text(errors='replace')

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    if error_type is not None:
      print(f'log of {self._name}:\n{self.log()}', file=sys.stderr)
    self._end()

  def _end(self):
    self._process.kill()
    self._process.wait()
    self._temporary.cleanup()


class PrometheusProcess(_Process):
  """Prometheus with the targets and rules that it is told of.

  `alertmanager` is an address.
  """

  def __init__(self, binary, alertmanager=None, flags=()):
    super().__init__('prometheus')
    (self.folder / 'prometheus.yaml').write_text(_configuration(alertmanager))
    self._start(str(binary), '--config.file=prometheus.yaml',
                '--storage.tsdb.path=data',
                f'--web.listen-address={self.address}', *flags)

  def scrape(self, job, *addresses):
    """From now on, the job has these targets and no others."""
    path = self.folder / f'targets-{job}.json'
    complete = path.with_suffix('.new')
    complete.write_text(json.dumps([{'targets': addresses}]))
    complete.rename(path)

  def load_rules(self, *texts):
    """From now on, the rules of these files, given as texts, run."""
    for number, text in enumerate(texts):
      (self.folder / f'rules{number}.yaml').write_text(text)
    self._process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + LIMIT_S
    while not self.get('rules')['groups']:
      if time.monotonic() > deadline:
        raise RuntimeError(f'no rules were loaded:\n{self.log()}')
      time.sleep(0.05)

  def get(self, path, **parameters):
    """The data of an answer of the HTTP API."""
    url = f'http://{self.address}/api/v1/{path}'
    if parameters:
      url += '?' + urllib.parse.urlencode(parameters)
    try:
      with urllib.request.urlopen(url, timeout=30) as reply:
        return json.load(reply)['data']
    except urllib.error.HTTPError as error:
      raise RuntimeError(f'{path} {parameters}: {error.read().decode()}')

  def query(self, expression):
    """The value of an expression with one result, or None if it has none."""
    result = self.get('query', query=expression)['result']
    return float(result[0]['value'][1]) if result else None

  def wait_for(self, expression, wanted):
    """The expression's value, once it is `wanted` or the limit has passed."""
    deadline = time.monotonic() + LIMIT_S
    while True:
      value = self.query(expression)
      if value == wanted or time.monotonic() > deadline:
        return value
      time.sleep(0.1)

  def alerting_rules(self):
    return [rule for group in self.get('rules', type='alert')['groups']
            for rule in group['rules']]


def _configuration(alertmanager):
  """The product's prometheus.yaml, quicker, and with targets by job."""
  text = (CONFIGURATION / 'prometheus.yaml').read_text()
  configuration = {
      'global': {name: f'{SCRAPE_MS}ms' for name in
                 ('scrape_interval', 'scrape_timeout', 'evaluation_interval')},
      'rule_files': ['rules*.yaml'],
      'scrape_configs': [
          {'job_name': job,
           # Not the default of five minutes: an event of the folder may be
           # missed, on a machine with few inotify instances all of them.
           'file_sd_configs': [{'files': [f'targets-{job}.json'],
                                'refresh_interval': '1s'}]}
          for job in re.findall(r'job_name: (\S+)', text)],
  }
  if alertmanager:
    configuration['alerting'] = {'alertmanagers': [
        {'static_configs': [{'targets': [alertmanager]}]}]}
  return json.dumps(configuration)  # Which is YAML, too.


class AlertReceiver:
  """Those whom Alertmanager tells: the receivers `page` and `ticket`.

  A context manager, which stops to listen.
  """

  def __init__(self):
    self._condition = threading.Condition()
    self._alerts = []  # Guarded by _condition.
    outer = self

    class Handler(http.server.BaseHTTPRequestHandler):

      def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        with outer._condition:
          outer._alerts += [{**alert, 'receiver': self.path.strip('/')}
                            for alert in body['alerts']]
          outer._condition.notify_all()
        self.send_response(200)
        self.end_headers()

      def log_message(self, *arguments):
        pass

    self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    self.address = f'127.0.0.1:{self._server.server_port}'
    self._thread = threading.Thread(target=self._server.serve_forever)
    self._thread.start()

  def names(self):
    """Of all alerts that came so far, with who was told."""
    with self._condition:
      return {(alert['labels']['alertname'], alert['receiver'])
              for alert in self._alerts}

  def wait_for(self, name, receiver, status='firing', **labels):
    """The alert, once it has come; AssertionError after the limit."""
    def fits(alert):
      return (alert['receiver'] == receiver and alert['status'] == status
              and {'alertname': name, **labels}.items()
              <= alert['labels'].items())
    with self._condition:
      if not self._condition.wait_for(
          lambda: any(map(fits, self._alerts)), LIMIT_S):
        told = [(alert['status'], alert['receiver'], alert['labels'])
                for alert in self._alerts]
        raise AssertionError(f'{name} ({labels}) did not reach {receiver} as '
                             f'{status} within {LIMIT_S} s; these did: {told}')
      return next(filter(fits, self._alerts))

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    self._server.shutdown()
    self._thread.join()
    self._server.server_close()


class AlertmanagerProcess(_Process):
  """Alertmanager with the product's routes, which lead to an AlertReceiver."""

  def __init__(self, binary, receiver, divisor):
    super().__init__('alertmanager')
    text = shortened((CONFIGURATION / 'alertmanager.yaml').read_text(), divisor)
    (self.folder / 'alertmanager.yaml').write_text(replaced(
        text, {'127.0.0.1:9094': receiver.address}))
    self._start(str(binary), '--config.file=alertmanager.yaml',
                '--storage.path=data', '--cluster.listen-address=',
                f'--web.listen-address={self.address}')
