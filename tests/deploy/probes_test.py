"""The server of the manifests, as a real process: started with the Deployment's
own arguments it answers the Deployment's probes, and compose.yaml's health
check, as they expect: before it has a model, with one, and while it drains. And
with the Secrets of README.md it obeys who calls it as README.md says.

Mounted folders and ports are other ones here, nothing else.

Run by CTest, or by hand:
  ~/.cache/ddgan/linters/bin/python tests/deploy/probes_test.py \\
    --server=build/release/server/ddgan-server --client=build/release/client/ddgan
"""

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import manifests
import yaml

KUBECTL = pathlib.Path(sys.prefix) / 'bin' / 'kubectl'
MODELS = manifests.DEPLOY / 'models'

# Far above what is needed on a quiet machine.
LIMIT_S = 300


def wait_until(condition, what):
  deadline = time.monotonic() + LIMIT_S
  while not condition():
    if time.monotonic() > deadline:
      raise AssertionError(f'not within {LIMIT_S} s: {what}')
    time.sleep(0.1)


class Pod:
  """A server that was started with a container's arguments, on other ports."""

  def __init__(self, arguments, folders):
    flags = manifests.flags(arguments)
    self._ports = {}
    self._holders = []  # Nobody else is given these ports, and the server can listen there.
    for flag in ('listen', 'http', 'admin_listen'):
      holder = socket.socket()
      holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      holder.bind(('127.0.0.1', 0))
      self._holders.append(holder)
      local = holder.getsockname()[1]
      self._ports[manifests.port(flags[flag])] = local
      flags[flag] = f'127.0.0.1:{local}'
    for flag, folder in folders.items():
      flags[flag] = str(folder)
    flags = {name: value.replace('$(CPU_LIMIT)', '1').replace('${DDGAN_CPUS:-2}', '1')
             for name, value in flags.items()}
    self.process = subprocess.Popen(
        [options.server] + [f'--{name}={value}' for name, value in flags.items()],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

  def address(self, port):
    """Where the container's `port` is here."""
    return f'127.0.0.1:{self._ports[port]}'

  def accepts(self, port):
    with socket.socket() as client:
      client.settimeout(5)
      return client.connect_ex(('127.0.0.1', self._ports[port])) == 0

  def http(self, port, path):
    """The status code, or None where nothing answers."""
    try:
      with urllib.request.urlopen(f'http://{self.address(port)}{path}', timeout=30) as reply:
        return reply.status
    except urllib.error.HTTPError as error:
      return error.code
    except OSError:
      return None

  def health(self, port):
    return subprocess.run(
        [options.client, 'health', f'--server={self.address(port)}', '--timeout=30s'],
        capture_output=True, timeout=60).returncode == 0

  def stop(self):
    if self.process.poll() is None:
      self.process.kill()
    self.log = self.process.communicate()[1]


class ProbesTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-probes-')
    self.addCleanup(folder.cleanup)
    self.models = pathlib.Path(folder.name) / 'models'
    self.state = pathlib.Path(folder.name) / 'state'
    self.models.mkdir()
    self.state.mkdir()

  def start(self, arguments):
    pod = Pod(arguments, {'model_root': self.models, 'state_dir': self.state})
    self.addCleanup(pod.stop)
    return pod

  def test_probes_of_the_deployment(self):
    deployment = next(
        d for d in manifests.documents(
            manifests.kustomize(KUBECTL, manifests.KUBERNETES / 'overlays/cpu'))
        if d['kind'] == 'Deployment')
    container = manifests.pod_spec(deployment)['containers'][0]
    ports = {p['name']: p['containerPort'] for p in container['ports']}
    startup = ports[container['startupProbe']['tcpSocket']['port']]
    live = container['livenessProbe']['httpGet']
    ready = container['readinessProbe']['grpc']['port']
    pod = self.start(container['args'])

    # No model yet: started, alive, not ready.
    wait_until(lambda: pod.accepts(startup), 'startupProbe succeeds')
    wait_until(lambda: pod.accepts(ready), 'the admin port is open')
    self.assertEqual(pod.http(ports[live['port']], live['path']), 200)
    self.assertEqual(pod.http(ports['http'], '/readyz'), 503)
    self.assertFalse(pod.health(ready))

    # The trainer publishes one.
    shutil.copytree(MODELS / 'mnist' / '12060', self.models / 'mnist' / '12060')
    wait_until(lambda: pod.health(ready), 'readinessProbe succeeds')
    self.assertEqual(pod.http(ports['http'], '/readyz'), 200)
    self.assertEqual(pod.http(ports[live['port']], live['path']), 200)
    with urllib.request.urlopen(
        f'http://{pod.address(ports["http"])}/metrics', timeout=30) as reply:
      # What the autoscaler goes by.
      self.assertRegex(reply.read().decode(), r'(?m)^ddgan_queue_oldest_age_seconds\{class="interactive"\} 0')

    # kubelet ends the pod: at first it is not ready but serves, then it ends
    # within the time that it is given.
    begin = time.monotonic()
    pod.process.send_signal(signal.SIGTERM)
    wait_until(lambda: pod.http(ports['http'], '/readyz') != 200, 'readiness is off')
    self.assertFalse(pod.health(ready))
    self.assertTrue(pod.accepts(ports['grpc']))
    grace_s = manifests.pod_spec(deployment)['terminationGracePeriodSeconds']
    self.assertEqual(pod.process.wait(grace_s), 0)
    delay_s = manifests.seconds(manifests.flags(container['args'])['drain_delay'])
    self.assertGreaterEqual(time.monotonic() - begin, delay_s)

  def test_health_check_of_compose(self):
    services = yaml.safe_load((manifests.DEPLOY / 'compose.yaml').read_text())['services']
    server = services['server']
    command, address = server['healthcheck']['test'][1:-1], server['healthcheck']['test'][-1]
    self.assertEqual(command, ['/usr/bin/ddgan', 'health'])
    shutil.copytree(MODELS / 'mnist' / '12060', self.models / 'mnist' / '12060')
    pod = self.start(server['command'])
    port = manifests.port(address)
    wait_until(lambda: pod.health(port), 'the health check succeeds')
    pod.process.terminate()
    self.assertEqual(pod.process.wait(manifests.seconds(server['stop_grace_period'])), 0)


class OrdersTest(unittest.TestCase):
  """README.md's overlay, Secrets and flags, letter by letter."""

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-orders-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    self.certify('server.crt', 'server.key', 'ddgan-server.ddgan.svc')
    shutil.copy(self.folder / 'server.crt', self.folder / 'ca.crt')
    self.certify('me.crt', 'me.key', 'operator')
    shutil.copy(self.folder / 'me.crt', self.folder / 'clients_ca.crt')
    for name in ('models', 'state'):
      (self.folder / name).mkdir()
    shutil.copytree(MODELS / 'mnist', self.folder / 'models' / 'mnist')

  def certify(self, certificate, key, name):
    """A certificate that vouches for itself."""
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
         '-nodes', '-days', '2', '-subj', f'/CN={name}', '-addext',
         f'subjectAltName=DNS:{name}', '-keyout', key, '-out', certificate],
        check=True, capture_output=True, cwd=self.folder)

  def bash(self, script, programs):
    return subprocess.run(
        ['bash', '-euc', script], capture_output=True, text=True, timeout=120, cwd=self.folder,
        env={'PATH': f'{pathlib.Path(programs).resolve()}:{os.environ["PATH"]}'})

  def secrets(self, script):
    """{name: {key: bytes}} of the Secrets that a script would create."""
    result = self.bash(
        'kubectl() { command kubectl "$@" --dry-run=client --output=json; }\n' + script,
        KUBECTL.parent)
    self.assertEqual((result.returncode, result.stderr), (0, ''))
    found, rest = {}, result.stdout.strip()
    while rest:
      document, end = json.JSONDecoder().raw_decode(rest)
      rest = rest[end:].strip()
      if document['kind'] == 'Secret':
        self.assertEqual(document['metadata']['namespace'], 'ddgan')
        found[document['metadata']['name']] = {
            key: base64.b64decode(value) for key, value in document['data'].items()}
    return found

  def start(self, deployment, secrets):
    """The Deployment's server, with the Secrets mounted where it says."""
    spec = manifests.pod_spec(deployment)
    container = spec['containers'][0]
    mounts = {m['name']: m['mountPath'] for m in container['volumeMounts']}
    folders = {'model_root': self.folder / 'models', 'state_dir': self.folder / 'state'}
    for volume in spec['volumes']:
      if 'secret' not in volume:
        continue
      mounted = self.folder / volume['name']
      mounted.mkdir()
      for key, content in secrets[volume['secret']['secretName']].items():
        (mounted / key).write_bytes(content)
      inside = mounts[volume['name']] + '/'
      for flag, value in manifests.flags(container['args']).items():
        if value.startswith(inside):
          folders[flag] = mounted / value.removeprefix(inside)
    pod = Pod(container['args'], folders)
    self.addCleanup(pod.stop)
    ready = container['readinessProbe']['httpGet']['path']
    wait_until(lambda: pod.http(50052, ready) == 200, 'readinessProbe succeeds')
    return pod

  def check_orders(self, pod, access):
    """Whoever calls by `access` may look and pin; without it, nobody may."""
    look = re.search(r'^ddgan models .*', manifests.from_readme('sh', '\nddgan models --server'),
                     re.MULTILINE)[0]
    self.assertIn('localhost:50053', look)
    for command in (look, look.replace('models', 'models pin mnist 12060', 1)):
      command = command.replace('localhost:50053', pod.address(50053))
      result = self.bash(f'{access}\n{command}', options.client.parent)
      self.assertEqual(result.returncode, 0, result.stderr)
      self.assertIn('12060', result.stdout)
      result = self.bash(f'access=()\n{command} --timeout=5s', options.client.parent)
      self.assertNotEqual(result.returncode, 0)

  def test_orders_to_a_server_with_tls_and_tokens(self):
    deployment = next(d for d in manifests.kustomize_readme_overlay(KUBECTL, 'site')
                      if d['kind'] == 'Deployment')
    pod = self.start(deployment, self.secrets(manifests.from_readme('sh', 'create secret tls')))
    self.check_orders(pod, manifests.from_readme('sh', 'access=('))

  def test_orders_to_a_server_that_asks_for_certificates(self):
    everything = manifests.rendered_documents(KUBECTL)
    deployment = next(d for d in everything['overlays/cpu+tls+mutual_tls+tokens']
                      if d['kind'] == 'Deployment')
    secrets = self.secrets(manifests.from_readme('sh', 'create secret tls'))
    secrets |= self.secrets(manifests.from_readme('sh', '--from-file=ca.crt'))
    self.check_orders(self.start(deployment, secrets),
                      manifests.from_readme('sh', 'access=(')
                      + 'access+=(--tls_cert=me.crt --tls_key=me.key)\n')


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--client', type=pathlib.Path, required=True, help='the ddgan binary')
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
