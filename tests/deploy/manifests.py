"""The manifests of deploy/, rendered by the tools that an operator uses."""

import os
import pathlib
import re
import subprocess
import tempfile

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / 'deploy'
KUBERNETES = DEPLOY / 'kubernetes'

# What an operator applies, and what he may add to a server.
SERVERS = ('overlays/cpu', 'overlays/gpu', 'overlays/gpu_pool')
TRAINERS = ('trainer/cpu', 'trainer/distributed')
OTHERS = ('monitoring', 'prometheus_adapter')
COMPONENTS = ((), ('tls',), ('tls', 'tokens'), ('tls', 'mutual_tls', 'tokens'))


def kustomize(kubectl, folder):
  """What `kubectl kustomize` prints; the test fails with what it complains of."""
  result = subprocess.run([kubectl, 'kustomize', str(folder)],
                          capture_output=True, text=True, timeout=300)
  # Warnings, of deprecated fields for example, count as failures.
  if result.returncode != 0 or result.stderr:
    raise AssertionError(f'kubectl kustomize {folder}: {result.stderr}')
  return result.stdout


def render_all(kubectl, scratch):
  """All that can be applied: {name: text}, every server with every component.

  `scratch` is an empty folder, for overlays as an operator writes them.
  """
  rendered = {}
  for name in SERVERS + TRAINERS + OTHERS:
    rendered[name] = kustomize(kubectl, KUBERNETES / name)
  for server in SERVERS:
    for components in COMPONENTS[1:]:
      name = '+'.join((server,) + components)
      folder = pathlib.Path(scratch) / name.replace('/', '-')
      folder.mkdir()
      here = os.path.relpath(KUBERNETES, folder)
      (folder / 'kustomization.yaml').write_text(yaml.safe_dump({
          'apiVersion': 'kustomize.config.k8s.io/v1beta1',
          'kind': 'Kustomization',
          'resources': [f'{here}/{server}'],
          'components': [f'{here}/components/{c}' for c in components]}))
      rendered[name] = kustomize(kubectl, folder)
  return rendered


def rendered_documents(kubectl):
  """render_all, parsed: {name: documents}."""
  with tempfile.TemporaryDirectory(prefix='ddgan-kustomize-') as scratch:
    return {name: documents(text)
            for name, text in render_all(kubectl, scratch).items()}


def from_readme(language, text):
  """The example of deploy/README.md that is in this language and has this text."""
  readme = (DEPLOY / 'README.md').read_text()
  example, = (block for block in re.findall(
      rf'^```{language}\n(.*?)^```', readme, re.DOTALL | re.MULTILINE) if text in block)
  return example


def kustomize_readme_overlay(kubectl, name, begins_with=None):
  """The documents of an overlay of deploy/README.md.

  `begins_with`: another folder of kubernetes/ in the place of the one that it names.
  """
  overlay = from_readme('yaml', f'# {name}/')
  if begins_with is not None:
    overlay, changes = re.subn(r'(?<=resources:\n  - \.\./deploy/kubernetes/).*',
                               begins_with, overlay)
    if changes != 1:
      raise AssertionError(f'{name}: one resource wanted')
  with tempfile.TemporaryDirectory(prefix='ddgan-site-') as folder:
    (pathlib.Path(folder) / 'kustomization.yaml').write_text(
        overlay.replace('../deploy/', os.path.relpath(DEPLOY, folder) + '/'))
    return documents(kustomize(kubectl, folder))


def prometheus_rules():
  script = KUBERNETES / 'monitoring' / 'prometheus_rules.sh'
  return subprocess.run([script], capture_output=True, text=True, check=True,
                        timeout=60).stdout


def documents(text):
  return [document for document in yaml.safe_load_all(text) if document]


def pod_spec(document):
  return document['spec']['template']['spec']


def flags(arguments):
  """['--a=1', ...] as {'a': '1'}; every argument must have that form."""
  parsed = {}
  for argument in arguments:
    match = re.fullmatch(r'--([a-z_0-9]+)=(.*)', argument)
    if match is None or match[1] in parsed:
      raise AssertionError(f'{argument!r} is no --flag=value, or said twice')
    parsed[match[1]] = match[2]
  return parsed


def known_flags(binary):
  """The flags that the program's own --help lists."""
  text = subprocess.run([binary, '--help'], capture_output=True, text=True,
                        check=True, timeout=60).stdout
  return set(re.findall(r'^ +--([a-z_0-9]+)', text, re.MULTILINE))


def seconds(text):
  """A time as flags and compose files have it: 90s, 1m30s, 10m, 500ms."""
  if not re.fullmatch(r'(?:\d+(?:ms|h|m|s))+', text):
    raise AssertionError(f'{text!r} is no time')
  unit = {'ms': 0.001, 's': 1, 'm': 60, 'h': 3600}
  return sum(int(number) * unit[name]
             for number, name in re.findall(r'(\d+)(ms|h|m|s)', text))


def port(address):
  return int(address.rsplit(':', 1)[1])
