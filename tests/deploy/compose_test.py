"""docker-compose itself takes deploy/compose.yaml, without a warning.

Run by CTest, or by hand:
  ~/.cache/ddgan/linters/bin/python tests/deploy/compose_test.py
"""

import json
import os
import pathlib
import subprocess
import sys
import unittest

import manifests

COMPOSE = pathlib.Path(sys.prefix) / 'bin' / 'docker-compose'


class ComposeTest(unittest.TestCase):

  def config(self, text, **environment):
    return subprocess.run(
        [COMPOSE, '--project-directory', manifests.DEPLOY, '--file', '-',
         '--profile', 'train', 'config', '--format', 'json'],
        input=text, capture_output=True, text=True, timeout=120,
        env={'PATH': os.environ['PATH'], 'HOME': '/nonexistent', **environment})

  def test_docker_compose_takes_it(self):
    text = (manifests.DEPLOY / 'compose.yaml').read_text()
    result = self.config(text)
    self.assertEqual((result.returncode, result.stderr), (0, ''))
    services = json.loads(result.stdout)['services']
    self.assertEqual(services['server']['image'], 'ddgan-server:0.1.0')
    self.assertEqual(services['trainer']['profiles'], ['train'])

  def test_what_an_operator_sets_arrives(self):
    text = (manifests.DEPLOY / 'compose.yaml').read_text()
    result = self.config(text, DDGAN_MODELS='/srv/models', DDGAN_DATA='/srv/data',
                         DDGAN_CPUS='6', DDGAN_VERSION='9.9.9')
    self.assertEqual((result.returncode, result.stderr), (0, ''))
    services = json.loads(result.stdout)['services']
    self.assertEqual(services['server']['image'], 'ddgan-server:9.9.9')
    for name in ('server', 'trainer'):
      # Else label and bill of materials would name another release.
      self.assertEqual(services[name]['build']['args'], {'VERSION': '9.9.9'})
    self.assertIn('--cpu_threads=6', services['server']['command'])
    self.assertEqual(services['server']['deploy']['resources']['limits']['cpus'], 6)
    for name in ('server', 'trainer'):
      models = next(v for v in services[name]['volumes'] if v['target'] == '/models')
      self.assertEqual(models['source'], '/srv/models')
      self.assertEqual(models.get('read_only', False), name == 'server')

  def test_a_mistake_is_noticed(self):
    text = (manifests.DEPLOY / 'compose.yaml').read_text()
    result = self.config(text.replace('stop_grace_period', 'stop_graze_period'))
    self.assertNotEqual(result.returncode, 0)


if __name__ == '__main__':
  unittest.main(verbosity=2)
