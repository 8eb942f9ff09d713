"""The container images, built from their Dockerfiles and run as a locked-down
cluster runs them: read-only root, no capability, no new rights, a memory limit.

Run by CTest, or by hand as root:
  python image_test.py --client=build/release/client/ddgan --version=0.1.0

Takes minutes and 6 GB of disk meanwhile. Exit code 77, with the reason, where
the machine can build and run no image.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from PIL import Image

import container_engine

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77  # What CTest takes for "skipped".
BASE = 'docker.io/library/debian:12.12-slim'
TOOLCHAIN = 'localhost/ddgan-toolchain'
IMAGES = {'server': 'localhost/ddgan-server',
          'trainer': 'localhost/ddgan-trainer'}
PROGRAMS = {'server': ('ddgan', 'ddgan-server'),
            'trainer': ('ddgan-evaluate', 'ddgan-import', 'ddgan-train')}
USER = 10001
MEMORY = '512m'
LOCKED_DOWN = ('--read-only', '--read-only-tmpfs=false', '--cap-drop=ALL',
               '--security-opt=no-new-privileges', '--network=host',
               f'--memory={MEMORY}', f'--memory-swap={MEMORY}')
# Programs that build, interpret or install programs. gcc-12-base, say, is a
# package of two text files, so files are looked at and not packages' names.
FORBIDDEN = re.compile(
    r'(.*-)?(gcc|g\+\+|cpp|cc1|cc1plus|c\+\+|cc|c89|c99|clang.*|as|ld|ld\..*|'
    r'collect2|make|cmake|ninja|nvcc|cicc|ptxas|pip.*|python.*)(-?[0-9.]+)?')

options = None  # Set by main().
engine = None


def setUpModule():
  global engine
  engine = container_engine.ContainerEngine(options.storage)
  unittest.addModuleCleanup(engine.close)
  engine.import_debian(BASE)

  # LibTorch and the compiler's cache as the build around this test has them:
  # nothing is downloaded or compiled again.
  arguments = {'DDGAN_DEPS': options.deps}
  volumes = [f'{path}:{path}:ro' for path in options.deps.glob('libtorch-*-cpu')]
  engine.build(REPOSITORY / 'docker/toolchain.Dockerfile', REPOSITORY, TOOLCHAIN,
               arguments, volumes, target='build')
  arguments['TOOLCHAIN_IMAGE'] = TOOLCHAIN
  if shutil.which('ccache') is not None:
    cache, size = (subprocess.run(
        ['ccache', '--get-config', key], capture_output=True, text=True,
        check=True).stdout.strip() for key in ('cache_dir', 'max_size'))
    pathlib.Path(cache).mkdir(parents=True, exist_ok=True)
    arguments.update(CCACHE_DIR='/ccache', CCACHE_MAXSIZE=size)
    volumes.append(f'{cache}:/ccache')
  for part, image in IMAGES.items():
    engine.build(REPOSITORY / f'docker/{part}.Dockerfile', REPOSITORY, image,
                 dict(arguments, REVISION='0123456789abcdef'), volumes)


def wait_for(what, condition, limit_s=60):
  deadline = time.monotonic() + limit_s
  while not condition():
    if time.monotonic() > deadline:
      raise TimeoutError(f'{what}: not within {limit_s} s')
    time.sleep(0.05)


def folder_of_user(test):
  """A temporary folder that the images' user may write into."""
  folder = tempfile.TemporaryDirectory(prefix='ddgan-image-')
  test.addCleanup(folder.cleanup)
  path = pathlib.Path(folder.name)
  os.chown(path, USER, USER)
  return path


class ContainerEngineTest(unittest.TestCase):

  def test_works_however_deep_the_folder_is(self):
    with tempfile.TemporaryDirectory(dir=options.storage) as folder:
      deep = pathlib.Path(folder, 'deep' * 20)
      deep.mkdir()
      other = container_engine.ContainerEngine(deep)
      try:
        self.assertEqual(other.podman('images', '--quiet').stdout, '')
      finally:
        other.close()


class ImageFilesTest(unittest.TestCase):
  """What is in the images, seen from outside."""

  def test_no_compiler_and_no_python(self):
    for part, image in IMAGES.items():
      with self.subTest(part):
        root = engine.mounted(image)
        files = [path for path in root.rglob('*')
                 if path.is_file() and not path.is_symlink()]
        self.assertGreater(len(files), 1000)
        self.assertEqual(
            [], [str(path) for path in files
                 if os.access(path, os.X_OK) and FORBIDDEN.fullmatch(path.name)])
        self.assertEqual([], [str(path) for path in files
                              if path.suffix in ('.pyc', '.h', '.a')
                              or path.name.startswith('libpython')])

  def test_nothing_gains_rights_or_is_open_to_everybody(self):
    for part, image in IMAGES.items():
      with self.subTest(part):
        root = engine.mounted(image)
        modes = {path: path.lstat().st_mode for path in root.rglob('*')
                 if path.is_file() and not path.is_symlink()}
        self.assertEqual([], [str(path) for path, mode in modes.items()
                              if mode & 0o6002])

  def test_holds_its_programs_and_no_other(self):
    for part, image in IMAGES.items():
      root = engine.mounted(image)
      self.assertEqual(
          sorted(path.name for path in (root / 'usr/bin').glob('ddgan*')),
          list(PROGRAMS[part]))

  def test_says_what_it_is_and_who_runs_it(self):
    for part, image in IMAGES.items():
      config = engine.inspect(image)['Config']
      labels = {key.removeprefix('org.opencontainers.image.'): value
                for key, value in config['Labels'].items()}
      self.assertEqual(config['User'], f'{USER}:{USER}')
      self.assertEqual(config['StopSignal'], 'SIGTERM')
      self.assertEqual(labels['title'], f'ddgan-{part}')
      self.assertEqual(labels['revision'], '0123456789abcdef')
      self.assertEqual(labels['base.name'], BASE)
      self.assertTrue(labels['description'])
      self.assertEqual(labels['version'], options.version)

  def test_every_program_finds_its_libraries(self):
    for part, image in IMAGES.items():
      for program in PROGRAMS[part]:
        result = engine.run(
            image, '--help', check=False,
            options=[*LOCKED_DOWN, f'--entrypoint=/usr/bin/{program}'])
        self.assertNotIn('error while loading', result.stderr)
        self.assertIn(program, result.stdout + result.stderr)

  def test_lists_what_is_in_it(self):
    for part, image in IMAGES.items():
      with self.subTest(part):
        root = engine.mounted(image)
        text = (root / 'usr/share/doc/ddgan/sbom.cdx.json').read_text()
        # None if valid; otherwise the error says where.
        self.assertIsNone(
            JsonStrictValidator(SchemaVersion.V1_5).validate_str(text))
        bill = json.loads(text)
        self.assertEqual(bill['metadata']['component']['name'], f'ddgan-{part}')
        listed = {(component['name'], component['version'])
                  for component in bill['components']}
        for library in ('torch', 'nvidia-cuda-runtime', 'nlohmann-json3-dev',
                        'libcli11-dev', 'libboost1.74-dev'):
          self.assertIn(library, {name for name, _ in listed})

        # Every package of dpkg's database, read without dpkg.
        status = (root / 'var/lib/dpkg/status').read_text()
        packages = set()
        for paragraph in status.strip().split('\n\n'):
          fields = dict(re.findall(r'^(\S+): (.*)$', paragraph, re.MULTILINE))
          if fields['Status'] == 'install ok installed':
            packages.add((fields['Package'], fields['Version']))
        self.assertGreater(len(packages), 80)
        self.assertLessEqual(packages, listed)
        urls = [component['purl'] for component in bill['components']
                if component['type'] == 'library']
        self.assertEqual(len(urls), len(set(urls)))
        self.assertEqual(
            len([url for url in urls if url.startswith('pkg:deb/')
                 and '-dev@' not in url]), len(packages))


class Server:
  """A server of the image on the bundled model, on free ports of the loopback.

  As a context manager it is removed at the end, and shows its log if the block
  failed.
  """

  def __init__(self, test):
    folder = folder_of_user(test)
    self.container = engine.start(
        IMAGES['server'], '--model_root=/usr/share/ddgan/models',
        '--listen=127.0.0.1:0', '--http=127.0.0.1:0',
        '--port_file=/run/ddgan/ports.json', '--drain_timeout=300s',
        options=[*LOCKED_DOWN, f'--volume={folder}:/run/ddgan'])
    ports = folder / 'ports.json'
    wait_for('ddgan-server', lambda: ports.exists() or not self._running(), 120)
    if not ports.exists():
      raise RuntimeError(f'no server:\n{engine.logs(self.container)}')
    ports = json.loads(ports.read_text())
    self.address = f'127.0.0.1:{ports["grpc_port"]}'
    self._http = f'http://127.0.0.1:{ports["http_port"]}'

  def _running(self):
    return engine.state(self.container)['State']['Running']

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    if error_type is not None:
      print(engine.logs(self.container), file=sys.stderr)
    engine.remove(self.container)

  def get(self, path):
    with urllib.request.urlopen(self._http + path, timeout=10) as reply:
      return reply.read().decode()

  def unfinished(self):
    """Images that were accepted and are not done."""
    return sum(float(value) for value in re.findall(
        r'^ddgan_(?:inflight_images|queue_depth) (\S+)$', self.get('/metrics'),
        re.MULTILINE))

  def generate(self, out, count):
    """Begins a call of the client program and returns its process."""
    return subprocess.Popen(
        [options.client, 'generate', f'--server={self.address}',
         '--model=mnist', f'--count={count}', '--seed=7', '--timeout=30m',
         f'--out={out}/'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)

  def process(self):
    """The server's process, as the machine sees it."""
    return pathlib.Path('/proc', str(engine.state(self.container)['State']['Pid']))

  def peak_memory_mib(self):
    """What the container took at most, file cache included."""
    for line in (self.process() / 'cgroup').read_text().splitlines():
      _, controllers, path = line.split(':', 2)
      if controllers == 'memory':
        peak = pathlib.Path(f'/sys/fs/cgroup/memory{path}',
                            'memory.max_usage_in_bytes')
        break
      if controllers == '':
        peak = pathlib.Path(f'/sys/fs/cgroup{path}', 'memory.peak')
        if peak.exists():
          break
    return int(peak.read_text()) / 2**20


class ServerImageTest(unittest.TestCase):

  def finished(self, call):
    output, _ = call.communicate(timeout=360)
    self.assertEqual(call.returncode, 0, output)

  def test_runs_without_rights_on_a_root_that_it_cannot_write(self):
    with Server(self) as server:
      status = dict(re.findall(r'^(\w+):\s*(.*)$',
                               (server.process() / 'status').read_text(),
                               re.MULTILINE))
      self.assertEqual(status['Uid'].split(), [str(USER)] * 4)
      self.assertEqual(status['Gid'].split(), [str(USER)] * 4)
      self.assertEqual(int(status['CapEff'], 16), 0)
      self.assertEqual(int(status['CapBnd'], 16), 0)
      self.assertEqual(status['NoNewPrivs'], '1')
      root = next(line.split() for line in
                  (server.process() / 'mountinfo').read_text().splitlines()
                  if line.split()[4] == '/')
      self.assertIn('ro', root[5].split(','))

  def test_answers_generate_within_its_memory(self):
    with Server(self) as server:
      self.assertEqual(server.get('/readyz').strip(), 'ok')
      out = folder_of_user(self)
      # As many images at once as make batches of every size.
      calls = [server.generate(out / str(i), count)
               for i, count in enumerate((1, 16, 64, 64))]
      for call in calls:
        self.finished(call)
      for i, count in enumerate((1, 16, 64, 64)):
        pictures = sorted((out / str(i)).glob('*.png'))
        self.assertEqual(len(pictures), count)
        for picture in pictures:
          with Image.open(picture) as image:
            low, high = image.convert('L').getextrema()
            self.assertEqual(image.size, (32, 32))
            self.assertGreater(high - low, 100)  # A digit, not a plain square.
      state = engine.state(server.container)['State']
      self.assertTrue(state['Running'])
      self.assertFalse(state['OOMKilled'])
      print(f'memory of {MEMORY}, at most: {server.peak_memory_mib():.0f} MiB')

  def test_stop_finishes_what_was_accepted(self):
    with Server(self) as server:
      out = folder_of_user(self)
      calls = [server.generate(out / str(i), 64) for i in range(3)]
      wait_for('two of the calls', lambda: server.unfinished() > 64)
      engine.podman('stop', '--time=330', server.container, timeout=360)
      for call in calls:
        self.finished(call)
      state = engine.state(server.container)['State']
      self.assertEqual((state['ExitCode'], state['Status'], state['OOMKilled']),
                       (0, 'exited', False), engine.logs(server.container))

  def test_serves_the_volume_unless_told_otherwise(self):
    config = engine.inspect(IMAGES['server'])['Config']
    self.assertEqual(config['Entrypoint'], ['/usr/bin/ddgan-server'])
    self.assertIn('--model_root=/models', config['Cmd'])
    models = engine.mounted(IMAGES['server']) / 'models'
    self.assertEqual((models.stat().st_uid, list(models.iterdir())), (USER, []))


class TrainerImageTest(unittest.TestCase):

  def test_trains_and_publishes(self):
    models = folder_of_user(self)
    engine.run(IMAGES['trainer'], '--config=25_gaussians', '--out=/models',
               '--max_steps=3', timeout=300,
               options=[*LOCKED_DOWN, f'--volume={models}:/models'])
    version = models / '25_gaussians' / '3'
    self.assertEqual(
        sorted(path.name for path in version.iterdir()),
        ['config.json', 'manifest.json', 'model.safetensors'])
    self.assertEqual((version / 'manifest.json').stat().st_uid, USER)


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--client', required=True, type=pathlib.Path,
                      help='the ddgan program')
  parser.add_argument('--version', required=True,
                      help="the project's, which the images must say unasked")
  parser.add_argument('--deps', type=pathlib.Path,
                      default=os.environ.get(
                          'DDGAN_DEPS', pathlib.Path.home() / '.cache/ddgan'),
                      help='what docker/install_dependencies.sh calls DDGAN_DEPS')
  parser.add_argument('--storage', type=pathlib.Path,
                      default=pathlib.Path(tempfile.gettempdir()),
                      help='folder in which images lie meanwhile')
  options, rest = parser.parse_known_args()
  reason = container_engine.why_not()
  if reason is not None:
    print(f'image_test: skipped, no image can be built or run here: {reason}')
    sys.exit(SKIPPED)
  options.client = options.client.resolve()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
