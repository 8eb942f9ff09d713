"""Something goes wrong with a real server or trainer, and the alert arrives.

Everything between is real: Prometheus scrapes the processes, runs the product's
rules, and Alertmanager routes by the product's configuration to a receiver
here. Only time is made short: the rules' durations are divided by DIVISOR.

Run by CTest, or by hand:
  python alerts_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan --model_root=deploy/models \
      --trainer=build/release/trainer/ddgan-train \
      --publisher=build/release/tests/integration/publish_versions \
      --failing_lane=build/release/tests/integration/libfailing_lane.so \
      --prometheus=prometheus --alertmanager=prometheus-alertmanager
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
import unittest

from certificates import Authority
import hot_reload
import monitoring
import version_damage
from raw_http2 import RawHttp2
from server_process import generate_stubs
from server_process import ServerProcess
from training_run import TrainingRun

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL = 'tiny'
# 5 minutes become 2.5 s, an hour half a minute. A range has to hold some scrapes.
DIVISOR = 120
SERVING_RULES = ('recording_rules.yaml', 'alerts.yaml', 'connection_alerts.yaml')
TRAINING_RULES = ('recording_rules.yaml', 'training_alerts.yaml')
SERVER_FLAGS = ('--poll_interval=50ms', '--warmup=ends',
                '--canary_max_mean_shift=2', '--devices=cpu', '--cpu_threads=1',
                '--log_level=warn')

options = None  # Set by main().
stubs = None


def setUpModule():
  global stubs
  stubs = generate_stubs(REPOSITORY / 'proto')


class ShortenedTest(unittest.TestCase):

  def test_divides_durations_and_nothing_else(self):
    self.assertEqual(
        monitoring.shortened(
            'interval: 30s\n'
            'expr: rate(x:ratio_rate5m[5m] offset 1h) > 30 and y{le="5"}\n'
            'for: 1d\ngroup_wait: 10s\n', 1000),
        'interval: 30ms\n'
        'expr: rate(x:ratio_rate5m[300ms] offset 3600ms) > 30 and y{le="5"}\n'
        'for: 86400ms\ngroup_wait: 10ms\n')

  def test_what_is_to_be_replaced_must_be_there(self):
    self.assertEqual(monitoring.replaced('> 30 > 30', {'> 30': '> 1'}),
                     '> 1 > 1')
    with self.assertRaises(ValueError):
      monitoring.replaced('> 3', {'> 30': '> 1'})


class AlertsTest(unittest.TestCase):
  """Each test has a Prometheus, an Alertmanager and a model root of its own."""

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-alerts-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    self.root = self.folder / 'models'
    self.root.mkdir()
    source = min(pathlib.Path(options.model_root).glob('*/[1-9]*'))
    self.publisher = hot_reload.Publisher(options.publisher, source, self.root,
                                          MODEL)
    self.receiver = self.enterContext(monitoring.AlertReceiver())
    self.alertmanager = self.enterContext(monitoring.AlertmanagerProcess(
        options.alertmanager, self.receiver, DIVISOR))

  def watch(self, job, addresses, files, replacements=None):
    """Starts Prometheus; its rules run once the targets have answered.

    `replacements` of texts are by rule file.
    """
    self.prometheus = self.enterContext(monitoring.PrometheusProcess(
        options.prometheus, self.alertmanager.address,
        # As much shorter as the rest: 5 minutes and one otherwise.
        [f'--query.lookback-delta={300_000 // DIVISOR}ms',
         f'--rules.alert.resend-delay={60_000 // DIVISOR}ms']))
    self.prometheus.scrape(job, *addresses)
    self.assertEqual(
        self.prometheus.wait_for(f'sum(up{{job="{job}"}})', len(addresses)),
        len(addresses))
    self.prometheus.load_rules(*[
        monitoring.shortened(
            monitoring.replaced(
                (monitoring.CONFIGURATION / name).read_text(),
                (replacements or {}).get(name, {})), DIVISOR)
        for name in files])

  def watch_servers(self, *servers, **arguments):
    self.watch('ddgan-server', [server.http_address for server in servers],
               SERVING_RULES, **arguments)

  def start_server(self, *flags, root=None, **arguments):
    return self.enterContext(ServerProcess(
        options.server, root or self.root, [*SERVER_FLAGS, *flags],
        **arguments))

  def load(self, server, *flags):
    return self.enterContext(hot_reload.Load(options.client, server, *flags))

  def expect(self, name, receiver, **labels):
    return self.receiver.wait_for(name, receiver, **labels)

  def firing(self):
    return {alert['labels']['alertname']
            for alert in self.prometheus.get('alerts')['alerts']
            if alert['state'] == 'firing'}

  def expect_silence(self):
    time.sleep(6 * 60 / DIVISOR)  # Longer than all that pages waits.
    self.assertEqual(self.receiver.names(), set())


class ServingAlertsTest(AlertsTest):

  def test_no_live_model_and_then_a_damaged_one(self):
    self.watch_servers(self.start_server())
    alert = self.expect('DdganNoLiveModel', 'page', job='ddgan-server')
    self.assertIn('runbooks.md#ddgannolivemodel',
                  alert['annotations']['runbook'])
    self.publisher.publish(1)
    self.receiver.wait_for('DdganNoLiveModel', 'page', status='resolved')

    folder = self.publisher.folder
    self.publisher.publish(2)
    staged = self.root / '.damaged'
    (folder / '2').rename(staged)
    version_damage.flip_bit(staged)
    staged.rename(folder / '3')
    self.expect('DdganVersionRefused', 'ticket', model=MODEL, reason='damaged')
    self.assertNotIn('DdganVersionRefused',
                     {name for name, told in self.receiver.names()
                      if told == 'page'})

  def test_all_is_well_and_then_servers_stop(self):
    self.publisher.publish(1)
    one, other = self.start_server(), self.start_server()
    self.watch_servers(one, other)
    for server in (one, other):
      self.load(server, '--rate=20', '--counts=1')
    self.expect_silence()

    one.close()
    self.expect('DdganServerDown', 'ticket', instance=one.http_address)
    self.assertNotIn('page', {told for _, told in self.receiver.names()})
    other.close()
    self.expect('DdganAllServersDown', 'page')

  def test_one_server_of_two_has_no_model(self):
    self.publisher.publish(1)
    root = self.folder / 'empty'
    root.mkdir()
    bare = self.start_server(root=root)
    self.watch_servers(self.start_server(), bare)
    self.expect('DdganServerWithoutModel', 'ticket', instance=bare.http_address)
    self.assertNotIn('page', {told for _, told in self.receiver.names()})
    shutil.copytree(self.root / MODEL, root / MODEL)
    self.receiver.wait_for('DdganServerWithoutModel', 'ticket',
                           status='resolved')

  def test_devices_fail(self):
    if options.sanitized:
      self.skipTest('the sanitizer\'s allocator cannot be made to fail')
    self.publisher.publish(1)
    switch = self.folder / 'fail'
    good = self.start_server()
    environment = {'LD_PRELOAD': options.failing_lane,
                   'DDGAN_FAILING_LANE': str(switch)}
    with changed_environment(environment):
      bad = self.start_server()
    self.watch_servers(good, bad)
    for server in (good, bad):
      self.load(server, '--rate=20', '--counts=1')
    self.expect_silence()

    # Half of the calls fail now; the other server's do not.
    switch.touch()
    self.expect('DdganDeviceUnhealthy', 'ticket', instance=bad.http_address)
    self.expect('DdganErrorBudgetBurnsFast', 'page', slo='availability')
    self.assertNotIn('DdganNoHealthyDevice',
                     {name for name, _ in self.receiver.names()})
    # No lane is there to try a new version on.
    self.publisher.publish(2)
    self.expect('DdganReloadFailing', 'ticket', instance=bad.http_address,
                model=MODEL)
    self.prometheus.scrape('ddgan-server', bad.http_address)
    self.expect('DdganNoHealthyDevice', 'page')

  def test_overload(self):
    self.publisher.publish(1)
    server = self.start_server('--max_queued_images=64')
    # What is slow is a matter of the model and the machine, and this model is
    # tiny: the least that a machine may take for as many images as there is
    # room for.
    self.watch_servers(server, replacements={
        'recording_rules.yaml': {'le="5"': 'le="0.002"'},
        'alerts.yaml': {
            'age_seconds{class="interactive"} > 30':
                'age_seconds{class="interactive"} > 0.0002',
            'p99_5m{method=~"Generate|ModelInfer"} > 20':
                'p99_5m{method=~"Generate|ModelInfer"} > 0.002'}})
    self.load(server, '--rate=1000', '--counts=64')
    self.expect('DdganOverloaded', 'page')
    self.expect('DdganLatencyBudgetBurnsFast', 'page', slo='latency')
    self.expect('DdganQueueOld', 'ticket', instance=server.http_address)
    self.expect('DdganSlowCalls', 'ticket', method='Generate')
    # Refusals are no failures.
    self.assertNotIn('DdganErrorBudgetBurnsFast',
                     {name for name, _ in self.receiver.names()})


class SecurityAlertsTest(AlertsTest):

  def setUp(self):
    super().setUp()
    self.authority = Authority(self.folder, 'authority')
    self.publisher.publish(1)

  def start_with_tls(self, days, *flags):
    """A server whose certificate is valid for so long."""
    self.certificate = self.folder / 'tls.crt'
    self.key = self.folder / 'tls.key'
    self.put(*self.authority.sign(days=days))
    return self.start_server(f'--tls_cert={self.certificate}',
                             f'--tls_key={self.key}', *flags)

  def put(self, certificate, key):
    shutil.copy(certificate, self.certificate)
    shutil.copy(key, self.key)

  def expect_resolved(self, name):
    self.receiver.wait_for(name, 'ticket', status='resolved')

  def test_certificates_and_tokens_go_bad(self):
    tokens = self.folder / 'tokens.json'
    tokens.write_text('{"tenants": []}')
    server = self.start_with_tls(30, f'--token_file={tokens}')
    here = {'instance': server.http_address}
    self.watch_servers(server)
    self.expect_silence()

    # A key that is another certificate's, and then tokens that are no JSON.
    good = self.authority.sign(days=30)
    self.put(good[0], self.authority.sign(days=30)[1])
    self.expect('DdganCertificateRefused', 'ticket', **here)
    tokens.write_text('{"tenants": [')
    self.expect('DdganTokensRefused', 'ticket', **here)
    # For as long as they lie there, an hour and more.
    time.sleep(1.2 * 3600 / DIVISOR)
    # A scrape that a busy machine misses interrupts them for a moment.
    wanted = {'DdganCertificateRefused', 'DdganTokensRefused'}
    deadline = time.monotonic() + monitoring.LIMIT_S
    while (firing := self.firing()) != wanted and time.monotonic() < deadline:
      time.sleep(0.2)
    self.assertEqual(firing, wanted)
    self.put(*good)
    tokens.write_text('{"tenants": [ ]}')
    self.expect_resolved('DdganCertificateRefused')
    self.expect_resolved('DdganTokensRefused')
    self.assertNotIn('page', {told for _, told in self.receiver.names()})

    # Good ones, but for a few days, and for less than one.
    self.put(*self.authority.sign(days=3))
    self.expect('DdganCertificateNotRenewed', 'ticket', **here)
    self.put(*self.authority.sign(days=1))
    self.expect('DdganCertificateExpiresSoon', 'page', **here)

  def test_connections_are_refused(self):
    server = self.start_with_tls(30, '--max_connections_per_peer=8',
                                 '--handshake_timeout=5s')
    self.watch_servers(server)
    self.expect_silence()
    over = threading.Event()
    flood = threading.Thread(target=keep_connecting,
                             args=(server.grpc_address, over))
    flood.start()
    try:
      self.expect('DdganConnectionsRefused', 'ticket', reason='peer',
                  instance=server.http_address)
    finally:
      over.set()
      flood.join()
    self.expect_resolved('DdganConnectionsRefused')
    self.assertNotIn('page', {told for _, told in self.receiver.names()})


  def test_requests_do_not_come_in_whole(self):
    server = self.start_server('--request_timeout=1s')
    self.watch_servers(server)
    over = threading.Event()
    flood = threading.Thread(target=keep_beginning_calls,
                             args=(server.grpc_address, over))
    flood.start()
    try:
      self.expect('DdganRequestsNotReceived', 'ticket', reason='timeout',
                  instance=server.http_address)
    finally:
      over.set()
      flood.join()
    self.expect_resolved('DdganRequestsNotReceived')
    self.assertNotIn('page', {told for _, told in self.receiver.names()})

  def test_log_lines_are_lost(self):
    with open('/dev/full', 'wb') as full_disk:
      bad = self.start_server(stderr=full_disk)
    good = self.start_server()
    self.watch_servers(good, bad)
    for server in (good, bad):
      self.load(server, '--rate=20', '--counts=1')
    self.expect('DdganLogLinesLost', 'ticket', instance=bad.http_address)
    self.assertEqual(self.receiver.names(), {('DdganLogLinesLost', 'ticket')})


class TrainingAlertsTest(AlertsTest):

  def test_training_stalls_cannot_publish_and_is_killed(self):
    model = self.root / TrainingRun.MODEL
    trainer = self.enterContext(TrainingRun(options.trainer, self.root))
    wait_until(model.is_dir)
    self.watch('ddgan-train', [trainer.http_address], TRAINING_RULES, {
        'training_alerts.yaml': {'[6h]': '[20m]', 'offset 6h': 'offset 20m'}})
    self.expect_silence()

    # Publishers take turns by a lock; one that never lets go holds up the run.
    turn = os.open(model, os.O_RDONLY)
    try:
      fcntl.flock(turn, fcntl.LOCK_EX)
      self.expect('DdganTrainingStalled', 'ticket',
                  instance=trainer.http_address)
      # And then something else lies where versions go.
      model.rename(self.root / 'aside')
      model.write_text('in the way')
    finally:
      os.close(turn)
    self.receiver.wait_for('DdganTrainingStalled', 'ticket', status='resolved')
    for name in ('DdganTrainingPublishFails', 'DdganTrainingNotPublishing'):
      self.expect(name, 'ticket', instance=trainer.http_address)

    trainer.kill()
    self.expect('DdganTrainingEnded', 'ticket', instance=trainer.http_address)
    self.assertEqual({told for _, told in self.receiver.names()}, {'ticket'})


def keep_connecting(address, over):
  """Forty silent connections at a time, again and again, until `over`."""
  host, port = address.split(':')
  while not over.is_set():
    with contextlib.ExitStack() as silent:
      for _ in range(40):
        silent.enter_context(socket.create_connection((host, int(port)),
                                                      monitoring.LIMIT_S))
      over.wait(0.5)


def keep_beginning_calls(address, over):
  """Ten calls without their message at a time, again and again, until `over`."""
  while not over.is_set():
    with contextlib.closing(RawHttp2(address)) as caller:
      for _ in range(10):
        caller.begin('/ddgan.v1.ImageGeneration/Generate')
      over.wait(2)


@contextlib.contextmanager
def changed_environment(values):
  before = dict(os.environ)
  os.environ.update(values)
  try:
    yield
  finally:
    os.environ.clear()
    os.environ.update(before)


def wait_until(condition):
  deadline = time.monotonic() + monitoring.LIMIT_S
  while not condition():
    if time.monotonic() > deadline:
      raise AssertionError(f'not within {monitoring.LIMIT_S} s')
    time.sleep(0.05)


class RunbooksTest(unittest.TestCase):

  def test_each_alert_has_a_section_and_each_section_an_alert(self):
    text = (monitoring.CONFIGURATION / 'runbooks.md').read_text()
    sections = set(re.findall(r'^## (\w+)$', text, re.MULTILINE))
    rules = [(monitoring.CONFIGURATION / name).read_text()
             for name in (*SERVING_RULES, 'training_alerts.yaml')]
    with monitoring.PrometheusProcess(options.prometheus) as prometheus:
      prometheus.load_rules(*rules)
      alerts = prometheus.alerting_rules()
    self.assertEqual({alert['name'] for alert in alerts}, sections)
    for alert in alerts:
      with self.subTest(alert['name']):
        self.assertEqual(
            alert['annotations']['runbook'],
            f'deploy/prometheus/runbooks.md#{alert["name"].lower()}')
        self.assertIn(alert['labels']['severity'], ('page', 'ticket'))
        self.assertTrue(alert['annotations']['summary'])


def main():
  global options
  parser = monitoring.argument_parser(__doc__)
  parser.add_argument('--failing_lane', required=True,
                      help='the library of failing_lane.cc')
  parser.add_argument('--alertmanager', required=True)
  parser.add_argument('--sanitized', action='store_true',
                      help='the server allocates by the sanitizer')
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
