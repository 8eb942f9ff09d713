"""The Debian packages, built, installed, used, upgraded over and removed in a
Debian 12 that has nothing of this project; systemd runs the server there.

Run by CTest, or by hand as root:
  python packages_test.py --build=build/packages --repository=. --version=0.1.0

Takes minutes and 4 GB of disk meanwhile. Exit code 77, with the reason, where
the machine can run no container.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import container_engine

SKIPPED = 77  # What CTest takes for "skipped".
DEBIAN = 'localhost/debian-with-systemd'
# The same, with the packages that those under test need at hand, not installed.
STOCKED = 'localhost/debian-with-downloads'
DOWNLOAD = f'''FROM {DEBIAN}
RUN apt-get update -qq \\
    && apt-get install -y -qq --no-install-recommends --download-only /packages/ddgan*.deb
'''
PROGRAMS = {'ddgan': ['ddgan'],
            'ddgan-server': ['ddgan-server'],
            'ddgan-trainer': ['ddgan-evaluate', 'ddgan-import', 'ddgan-train'],
            'ddgan-libtorch': [], 'libddgan-client-dev': []}
UNIT = '/usr/lib/systemd/system/ddgan-server.service'

options = None  # Set by main().
engine = None
folder = None  # With the packages.


def setUpModule():
  global engine, folder
  temporary = tempfile.TemporaryDirectory(prefix='ddgan-packages-',
                                          dir=options.storage)
  unittest.addModuleCleanup(temporary.cleanup)
  folder = pathlib.Path(temporary.name)
  if options.packages is None:
    subprocess.run(
        [options.repository / 'deploy/debian/build_packages.sh', folder,
         options.build], check=True, stdin=subprocess.DEVNULL)
  else:
    shutil.copytree(options.packages, folder, dirs_exist_ok=True)
  engine = container_engine.ContainerEngine(options.storage)
  unittest.addModuleCleanup(engine.close)
  engine.import_debian(DEBIAN, packages=['systemd', 'dbus', 'procps'])
  dockerfile = folder / 'Dockerfile'
  dockerfile.write_text(DOWNLOAD)
  engine.build(dockerfile, folder, STOCKED, {}, [f'{folder}:/packages:ro'])


class Machine:
  """A Debian with systemd as its first process, as a container without a network:
  the ports of the machine around it are not its own.
  """

  def __init__(self):
    self.container = engine.start(
        STOCKED, '/lib/systemd/systemd',
        options=['--systemd=always', '--privileged', '--network=none',
                 '--env=DEBIAN_FRONTEND=noninteractive',
                 f'--volume={folder}:/packages:ro'])
    self.wait_for('systemd', 'systemctl show --property=Version | grep -q =')

  def run(self, command, check=True, timeout=600):
    return engine.podman('exec', self.container, 'sh', '-c', command,
                         check=check, timeout=timeout)

  def told(self, command):
    return self.run(command).stdout.strip()

  def wait_for(self, what, command, limit_s=300):
    deadline = time.monotonic() + limit_s
    while self.run(command, check=False).returncode != 0:
      if time.monotonic() > deadline:
        raise TimeoutError(
            f'{what}: not within {limit_s} s\n{engine.logs(self.container)}\n'
            + self.run('journalctl --no-pager | tail -50', check=False).stdout)
      time.sleep(0.2)

  def state(self, name):
    return self.told(f'systemctl show ddgan-server --property={name} --value')


class PackagesTest(unittest.TestCase):

  def package(self, name):
    files = list(folder.glob(f'{name}_{options.version}_*.deb'))
    self.assertEqual(len(files), 1, list(folder.iterdir()))
    return files[0]

  def test_each_holds_its_own_and_needs_what_debian_has(self):
    for name, programs in PROGRAMS.items():
      with self.subTest(name):
        def fields(field):
          return subprocess.run(['dpkg-deb', '--field', package, field],
                                check=True, capture_output=True,
                                text=True).stdout
        package = self.package(name)
        listed = subprocess.run(['dpkg-deb', '--contents', package], check=True,
                                capture_output=True, text=True).stdout
        paths = [line.split()[5] for line in listed.splitlines()]
        self.assertEqual(
            sorted(path.removeprefix('./usr/bin/') for path in paths
                   if re.fullmatch(r'\./usr/bin/.+', path)), programs)
        for program in programs:
          self.assertIn(f'./usr/share/man/man1/{program}.1.gz', paths)
          self.assertIn(f'./usr/share/bash-completion/completions/{program}', paths)
          self.assertIn(f'./usr/share/zsh/vendor-completions/_{program}', paths)
          self.assertIn('libc6', fields('Depends'))
        self.assertEqual(f'ddgan-libtorch (= {options.version})' in fields('Depends'),
                         name in ('ddgan-server', 'ddgan-trainer'))
        self.assertEqual([], [path for path in paths if 'libtorch' in path
                              and name != 'ddgan-libtorch'])
        self.assertEqual(
            [], [line for line in listed.splitlines()
                 if line.split()[1] != 'root/root' or line[8] == 'w'])

  def test_installed_used_and_removed(self):
    machine = Machine()
    # The server first, alone with what it needs: a package that is not said to
    # be needed would be missed.
    machine.run('apt-get install -y -qq --no-install-recommends '
                f'/packages/ddgan-server_{options.version}_*.deb '
                f'/packages/ddgan-libtorch_{options.version}_*.deb')
    machine.wait_for('the server', 'systemctl is-active ddgan-server')
    # Type=notify: it is active once it has said that it serves.
    self.assertRegex(machine.state('StatusText'), r'^Serving gRPC on port 50051$')
    self.assertEqual(machine.state('UnitFileState'), 'enabled')
    self.check_unit(machine)
    self.check_process(machine)

    machine.run('apt-get install -y -qq --no-install-recommends '
                f'/packages/ddgan_{options.version}_*.deb')
    self.assertTrue(json.loads(machine.told('ddgan health --json'))['ready'])
    machine.run('cd /tmp && ddgan generate --model=mnist --count=4 --seed=7 --grid --out=x.png')
    self.assertEqual(machine.told('head -c4 /tmp/x.png | tail -c3'), 'PNG')

    # Options from the file; what --state_dir holds outlives the server.
    live = json.loads(machine.told('ddgan models --json'))['models'][0]
    machine.run(f"ddgan models pin {live['name']} {live['live_version']}")
    machine.run('echo DDGAN_SERVER_LISTEN=127.0.0.1:50061 >>/etc/default/ddgan-server'
                ' && systemctl restart ddgan-server')
    self.assertEqual(machine.state('StatusText'), 'Serving gRPC on port 50061')
    models = json.loads(machine.told('ddgan models --json --server=localhost:50061'))
    model = models['models'][0]
    self.assertEqual(model['pinned_version'], model['live_version'])

    # The same version once more, as an upgrade would come: what the
    # administrator has changed stays.
    before = machine.state('MainPID')
    machine.run('dpkg --install --force-confold '
                f'/packages/ddgan-server_{options.version}_*.deb')
    machine.wait_for('the server', 'systemctl is-active ddgan-server')
    self.assertNotEqual(machine.state('MainPID'), before)
    self.assertEqual(machine.state('StatusText'), 'Serving gRPC on port 50061')

    machine.run('apt-get remove -y -qq ddgan-server')
    self.assertEqual(machine.run('pgrep ddgan-server', check=False).returncode, 1)
    self.assertRegex(machine.told('journalctl --no-pager -u ddgan-server | tail'),
                     'info stopped\n')
    machine.run('test -e /etc/default/ddgan-server')
    machine.run('test -d /var/lib/private/ddgan-server')
    machine.run('apt-get purge -y -qq ddgan-server ddgan ddgan-libtorch')
    self.assertEqual(
        machine.told('find / -xdev -path /proc -prune -o -name "*ddgan*" '
                     '-not -path "/packages*" -not -path "/var/log/*" '
                     '-not -path "/var/lib/systemd/deb-systemd-helper*" '
                     '-not -path "/var/cache/*" -print'), '')

  def check_unit(self, machine):
    verified = machine.run(f'systemd-analyze verify --man=no {UNIT}')
    self.assertEqual((verified.stdout, verified.stderr), ('', ''))
    report = machine.told('systemd-analyze security --offline=true --no-pager '
                          f'{UNIT} | tail -1')
    exposure = float(re.search(r'ddgan-server.service: ([0-9.]+)', report)[1])
    print(f'exposure of ddgan-server.service: {exposure}')
    self.assertLess(exposure, 2)

  def check_process(self, machine):
    process = machine.state('MainPID')
    status = dict(re.findall(
        r'^(\w+):\s*(.*)$', machine.told(f'cat /proc/{process}/status'),
        re.MULTILINE))
    self.assertNotIn('0', status['Uid'].split())
    self.assertEqual(int(status['CapBnd'], 16), 0)
    self.assertEqual((status['NoNewPrivs'], status['Seccomp']), ('1', '2'))

  def test_trainer_publishes_and_library_is_found(self):
    machine = Machine()
    machine.run('apt-get install -y -qq --no-install-recommends '
                f'/packages/ddgan-trainer_{options.version}_*.deb '
                f'/packages/ddgan-libtorch_{options.version}_*.deb')
    machine.run('ddgan-train --config=25_gaussians --out=/models --max_steps=3')
    machine.run('test -e /models/25_gaussians/3/manifest.json')
    for program in PROGRAMS['ddgan-trainer']:
      self.assertIn(options.version, machine.told(f'{program} --version'))
    # Its dependencies would be half a gigabyte of compiler.
    machine.run('dpkg --unpack '
                f'/packages/libddgan-client-dev_{options.version}_*.deb')
    machine.run('test -e /usr/lib/cmake/ddgan/ddganConfig.cmake'
                ' -a -e /usr/include/ddgan/client/image_client.h')


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--build', required=True, type=pathlib.Path,
                      help="CMake's folder for the packages")
  parser.add_argument('--repository', required=True, type=pathlib.Path)
  parser.add_argument('--version', required=True,
                      help="the project's, which the packages must have")
  parser.add_argument('--packages', type=pathlib.Path,
                      help='folder with packages of this version, in the place '
                      'of building them')
  parser.add_argument('--storage', type=pathlib.Path,
                      default=pathlib.Path(tempfile.gettempdir()),
                      help='folder in which packages and images lie meanwhile')
  options, rest = parser.parse_known_args()
  options.repository = options.repository.resolve()
  options.build = options.build.resolve()
  reason = container_engine.why_not()
  if reason is not None:
    print(f'packages_test: skipped, no container can be run here: {reason}')
    sys.exit(SKIPPED)
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
