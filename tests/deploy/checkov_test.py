"""checkov finds nothing in what deploy/kubernetes renders to, beside what
checkov.yaml leaves out with its reason.

Run by CTest, or by hand:
  ~/.cache/ddgan/linters/bin/python tests/deploy/checkov_test.py
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import manifests

BIN = pathlib.Path(sys.prefix) / 'bin'
CONFIG = pathlib.Path(__file__).with_name('checkov.yaml')


class CheckovTest(unittest.TestCase):

  def checkov(self, folder):
    result = subprocess.run(
        [sys.executable, BIN / 'checkov', '--config-file', CONFIG, '--directory', folder,
         '--output', 'json'], capture_output=True, text=True, timeout=900)
    try:
      return json.loads(result.stdout)
    except ValueError:
      self.fail(f'checkov: {result.stdout}\n{result.stderr}')

  def test_nothing_is_found(self):
    with tempfile.TemporaryDirectory(prefix='ddgan-checkov-') as folder:
      rendered = pathlib.Path(folder) / 'rendered'
      scratch = pathlib.Path(folder) / 'overlays'
      rendered.mkdir()
      scratch.mkdir()
      everything = manifests.render_all(BIN / 'kubectl', scratch)
      for name, text in everything.items():
        (rendered / (name.replace('/', '-') + '.yaml')).write_text(text)
      # What checkov must object to, so that its silence means something.
      deployment = next(d for d in manifests.documents(everything['overlays/cpu'])
                        if d['kind'] == 'Deployment')
      self.assertIn('restricted', everything['overlays/cpu'])
      (rendered / 'mistake.yaml').write_text(
          manifests.yaml.safe_dump(deployment).replace(
              'readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: false'))
      report = self.checkov(rendered)
    found = {(f['check_id'], pathlib.Path(f['file_path']).name, f['resource'])
             for f in report['results']['failed_checks']}
    self.assertEqual(report['summary']['parsing_errors'], 0)
    self.assertEqual(
        found, {('CKV_K8S_22', 'mistake.yaml', 'Deployment.ddgan.ddgan-server')})
    self.assertGreater(report['summary']['passed'], 500)


if __name__ == '__main__':
  unittest.main(verbosity=2)
