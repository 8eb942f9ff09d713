"""The server of the manifests, as a real process: started with the Deployment's
own arguments it answers the Deployment's probes, and compose.yaml's health
check, as they expect: before it has a model, with one, and while it drains.

Mounted folders and ports are other ones here, nothing else.

Run by CTest, or by hand:
  ~/.cache/ddgan/linters/bin/python tests/deploy/probes_test.py \\
    --server=build/release/server/ddgan-server --client=build/release/client/ddgan
"""

import argparse
import pathlib
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


def free_ports(count):
  probes = [socket.socket() for _ in range(count)]
  for probe in probes:
    probe.bind(('127.0.0.1', 0))
  ports = [probe.getsockname()[1] for probe in probes]
  for probe in probes:
    probe.close()
  return ports


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
    for flag, local in zip(('listen', 'http', 'admin_listen'), free_ports(3)):
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
      self.assertRegex(reply.read().decode(), r'(?m)^ddgan_queue_oldest_age_seconds 0')

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


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--client', required=True, help='the ddgan binary')
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
