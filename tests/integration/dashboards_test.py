"""Every panel of the dashboards shows something of a real run.

A server under load and a trainer are scraped by a real Prometheus with the
product's recording rules, and promtool evaluates what each panel asks for. Also:
rules and dashboards name only metrics that the manuals describe.

Run by CTest, or by hand:
  python dashboards_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan --model_root=deploy/models \
      --trainer=build/release/trainer/ddgan-train \
      --publisher=build/release/tests/integration/publish_versions \
      --prometheus=prometheus --promtool=promtool
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

import hot_reload
import monitoring
import version_damage
from server_process import ServerProcess
from training_run import TrainingRun

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
GRAFANA = REPOSITORY / 'deploy' / 'grafana'
DASHBOARDS = ('serving', 'training')
MODEL = 'tiny'
# What these tests do not bring about: running out of a device's memory, TLS,
# tokens.
NOT_SHOWN = {'ddgan_device_batch_limit_images', 'ddgan_security_files_refused',
             'ddgan_token_reloads_total',
             'ddgan_tls_certificate_expiry_timestamp_seconds',
             'ddgan_tls_reloads_total'}
# Metrics that no panel shows.
ON_NO_PANEL = {
    # The choices of servers and runs are made of these.
    'ddgan_build_info', 'ddgan_training_build_info',
    # Overtaken previews are how a slow reader's stream is meant to work.
    'ddgan_previews_dropped_total',
    # Together they tell how well sums overlap backward, to whoever tunes that.
    'ddgan_training_gradient_bytes_total',
    'ddgan_training_gradient_sums_total',
    # Of this process; ddgan_training_step is the run's.
    'ddgan_training_steps_total'}

options = None  # Set by main().


def documented_metrics():
  metrics = set()
  for manual in ('server/OPERATING.md', 'trainer/README.md'):
    text = (REPOSITORY / manual).read_text()
    metrics |= set(re.findall(r'`(ddgan_\w+?)(?:\{\w+\})?`', text))
  return metrics


def metrics_in(text):
  """The names of metrics in PromQL, those of histograms without their suffix."""
  return {re.sub('_(bucket|sum|count)$', '', name)
          for name in re.findall(r'(?<![:\w])ddgan_\w+(?!:)\b', text)}


def load_dashboard(name):
  return json.loads((GRAFANA / f'{name}_dashboard.json').read_text())


def expressions(dashboard):
  """(title, PromQL) of all panels, with the variables as at first sight."""
  variables = {'$__rate_interval': '1m'}
  for variable in dashboard['templating']['list']:
    variables['$' + variable['name']] = variable.get('allValue', '')
  for panel in dashboard['panels']:
    for target in panel.get('targets', ()):
      expression = target['expr']
      for name, value in variables.items():
        expression = expression.replace(name, value)
      yield panel['title'], expression


class DashboardFilesTest(unittest.TestCase):

  def test_are_what_their_source_says(self):
    subprocess.run([sys.executable, GRAFANA / 'build_dashboards.py', '--check'],
                   check=True)

  def test_panels_have_places_and_names_of_their_own(self):
    for name in DASHBOARDS:
      with self.subTest(name):
        dashboard = load_dashboard(name)
        panels = dashboard['panels']
        self.assertEqual(len({panel['id'] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
          place = panel['gridPos']
          cells = {(x, y)
                   for x in range(place['x'], place['x'] + place['w'])
                   for y in range(place['y'], place['y'] + place['h'])}
          self.assertLessEqual(place['x'] + place['w'], 24, panel['title'])
          self.assertFalse(cells & taken, panel['title'])
          taken |= cells
        titles = [(panel['type'], panel['title']) for panel in panels]
        self.assertEqual(len(set(titles)), len(titles))
        sources = {json.dumps(panel['datasource']) for panel in panels
                   if panel['type'] != 'row'}
        self.assertEqual(
            sources,
            {json.dumps({'type': 'prometheus', 'uid': '${datasource}'})})

  def test_every_metric_is_on_a_panel_or_known_not_to_be(self):
    shown = set()
    for name in DASHBOARDS:
      for _, expression in expressions(load_dashboard(name)):
        shown |= metrics_in(expression)
    self.assertEqual(documented_metrics() - shown, ON_NO_PANEL)

  def test_rules_and_panels_name_only_what_is_documented(self):
    documented = documented_metrics()
    recording = (monitoring.CONFIGURATION / 'recording_rules.yaml').read_text()
    recorded = set(re.findall(r'record: (\S+)', recording))
    used = {name: [expression for _, expression
                   in expressions(load_dashboard(name))]
            for name in DASHBOARDS}
    for path in monitoring.CONFIGURATION.glob('*.yaml'):
      # Without names of groups, and what is written for people.
      used[path.name] = re.sub(
          r'#.*|- name: .*|^ *- ddgan_\w+$|(summary|description|runbook): .*',
          '', path.read_text(), flags=re.MULTILINE).splitlines()
    for source, texts in used.items():
      for text in texts:
        for name in re.findall(r'\w+:ddgan_\w+:\w+', text):
          self.assertIn(name, recorded, source)
        self.assertLessEqual(metrics_in(text), documented, source)


class DashboardsTest(unittest.TestCase):

  def test_every_panel_shows_something(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-dashboards-')
    self.addCleanup(folder.cleanup)
    root = pathlib.Path(folder.name)
    source = min(pathlib.Path(options.model_root).glob('*/[1-9]*'))
    publisher = hot_reload.Publisher(options.publisher, source, root, MODEL)
    publisher.publish(1)
    server = self.enterContext(ServerProcess(options.server, root, [
        '--poll_interval=50ms', '--warmup=ends', '--canary_max_mean_shift=2',
        '--log_level=warn',
        # Where nobody listens: spans are lost, which a panel shows.
        '--otlp_endpoint=127.0.0.1:1']))
    # Into a root of its own, so that the server does not see its versions.
    trainer = self.enterContext(TrainingRun(
        options.trainer, root / '.trained', '--save_every=50'))
    prometheus = self.enterContext(
        monitoring.PrometheusProcess(options.prometheus))
    prometheus.scrape('ddgan-server', server.http_address)
    prometheus.scrape('ddgan-train', trainer.http_address)
    for job in ('ddgan-server', 'ddgan-train'):
      self.assertEqual(prometheus.wait_for(f'up{{job="{job}"}}', 1), 1)
    prometheus.load_rules(monitoring.shortened(
        (monitoring.CONFIGURATION / 'recording_rules.yaml').read_text(), 60))

    for flags in (['--rate=20', '--counts=1-8', '--cancel=0.2',
                   '--standalone_calls=1'],
                  # Some calls of which come too late.
                  ['--rate=5', '--counts=64', '--deadlines=2ms']):
      self.enterContext(hot_reload.Load(options.client, server, *flags))
    publisher.publish(2)
    version_damage.flip_bit(publisher.folder / '1')  # So that a copy is bad.
    (publisher.folder / '1').rename(publisher.folder / '3')
    subprocess.run([options.client, 'models', 'pin', MODEL, '2',
                    f'--server={server.grpc_address}'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    asked = {query for name in DASHBOARDS
             for query in expressions(load_dashboard(name))}
    silent = {query for query in asked
              if any(name in query[1] for name in NOT_SHOWN)}
    for _, expression in silent:
      self.evaluate(prometheus, expression)
    waiting = asked - silent
    deadline = time.monotonic() + monitoring.LIMIT_S
    while waiting and time.monotonic() < deadline:
      # Streams with previews, a few at a time.
      subprocess.run([options.client, 'generate', '--stream', '--previews',
                      f'--preview_dir={root}/.previews', '--count=2',
                      f'--out={root}/.images/', f'--server={server.grpc_address}',
                      f'--model={MODEL}'],
                     check=True, stdout=subprocess.DEVNULL,
                     stderr=subprocess.PIPE)
      waiting = {query for query in waiting
                 if not self.evaluate(prometheus, query[1])}
    self.assertEqual(waiting, set(), 'these panels show nothing')

  def evaluate(self, prometheus, expression):
    """What promtool says of an expression; empty if it has no value."""
    done = subprocess.run(
        [options.promtool, 'query', 'instant', f'http://{prometheus.address}',
         expression], capture_output=True, text=True, check=False)
    self.assertEqual(done.returncode, 0, f'{expression}:\n{done.stderr}')
    # NaN is what a quotient of nothing is; a panel shows no line for it.
    return [line for line in done.stdout.splitlines() if ' => NaN' not in line]


def main():
  global options
  parser = monitoring.argument_parser(__doc__)
  parser.add_argument('--promtool', required=True)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
