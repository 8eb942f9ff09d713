"""buildah and podman with a storage of their own, as a stand-in for a Docker
engine where there is none.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

PROGRAMS = ('buildah', 'mmdebstrap', 'podman', 'runc', 'unshare')
# As Debian's own image: no manuals, no translations, and no wait for the disk
# after each file.
DPKG_OPTIONS = (
    'force-unsafe-io', 'path-exclude=/usr/share/doc/*',
    'path-include=/usr/share/doc/*/copyright', 'path-exclude=/usr/share/info/*',
    'path-exclude=/usr/share/locale/*', 'path-exclude=/usr/share/man/*')


def why_not():
  """Why this machine can build and run no image, or None if it can."""
  missing = [program for program in PROGRAMS if shutil.which(program) is None]
  if missing:
    return (f'{", ".join(missing)} not installed '
            '(docker/install_dependencies.sh --images)')
  if os.geteuid() != 0:
    return 'not root'
  # A container without the right to make namespaces.
  attempt = subprocess.run(
      ['unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', 'true'],
      capture_output=True, text=True)
  if attempt.returncode != 0:
    return f'no right to make namespaces: {attempt.stderr.strip()}'
  return None


class ContainerEngine:
  """Images and containers below a temporary folder in `parent`; close() ends
  and removes all of them.
  """

  def __init__(self, parent):
    self._folder = pathlib.Path(
        tempfile.mkdtemp(prefix='container-storage-', dir=parent))
    self._containers = []
    # podman refuses a --runroot of more than 50 characters.
    self._state = pathlib.Path(tempfile.mkdtemp(prefix='ddgan-', dir='/run'))
    storage = [f'--root={self._folder}/images', f'--runroot={self._state}',
               '--storage-driver=vfs']
    # crun does not work inside some machines' sandboxes, and systemd's cgroups
    # need systemd.
    self._podman = ['podman', *storage, '--runtime=runc',
                    '--cgroup-manager=cgroupfs']
    self._buildah = ['buildah', *storage]
    # podman would raise both far above this process's own, which root may not
    # everywhere (and its --ulimit=host does not help against that).
    self._run = ['run', '--ulimit=nofile=4096:4096', '--ulimit=nproc=4096:4096']
    # Both keep temporary copies of whole layers; their default is /var/tmp.
    temporary = self._folder / 'tmp'
    temporary.mkdir()
    self._environment = dict(os.environ, TMPDIR=str(temporary))

  def podman(self, *arguments, check=True, timeout=120):
    """Runs podman and returns its CompletedProcess, with text output."""
    result = subprocess.run(
        [*self._podman, *arguments], env=self._environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout)
    if check and result.returncode != 0:
      raise RuntimeError(f'podman {" ".join(arguments)}: exit code '
                         f'{result.returncode}\n{result.stdout}{result.stderr}')
    return result

  def import_debian(self, name, packages=()):
    """Makes a minimal Debian 12, with `packages` besides, and imports it as
    `name`."""
    archive = self._folder / 'base.tar'
    debian = 'http://deb.debian.org/debian'
    sources = (f'deb {debian} bookworm main',
               f'deb {debian} bookworm-updates main',
               f'deb {debian}-security bookworm-security main')
    self._logged(['mmdebstrap', '--variant=minbase',
                  '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
                  *(f'--dpkgopt={option}' for option in DPKG_OPTIONS),
                  *([f'--include={",".join(packages)}'] if packages else []),
                  'bookworm', str(archive), *sources])
    self.podman('import', str(archive), name, timeout=600)
    archive.unlink()

  def build(self, dockerfile, context, tag, arguments, volumes, target=None):
    """Builds the Dockerfile as it is. `arguments`: a dict of build arguments;
    `volumes`: HOST:CONTAINER[:ro] for its RUN instructions.
    """
    command = [*self._buildah, 'bud', '--isolation=chroot', '--pull-never',
               f'--file={dockerfile}', f'--tag={tag}']
    if target is not None:
      command.append(f'--target={target}')
    for name, value in arguments.items():
      command.append(f'--build-arg={name}={value}')
    command += [f'--volume={volume}' for volume in volumes]
    self._logged([*command, str(context)])

  def _logged(self, command):
    """Shows the output only if the command fails: it is thousands of lines."""
    begin = time.monotonic()
    log = self._folder / 'log'
    with open(log, 'w') as output:
      code = subprocess.run(command, env=self._environment, stdout=output,
                            stderr=output, stdin=subprocess.DEVNULL).returncode
    if code != 0:
      tail = log.read_text(errors='replace')[-20000:]
      raise RuntimeError(f'{" ".join(command)}: exit code {code}\n{tail}')
    print(f'{time.monotonic() - begin:6.1f} s  {" ".join(command)}', flush=True)

  def inspect(self, image):
    return json.loads(self.podman('image', 'inspect', image).stdout)[0]

  def mounted(self, image):
    """The folder with the image's files, read only by convention."""
    return pathlib.Path(self.podman('image', 'mount', image).stdout.strip())

  def start(self, image, *arguments, options=()):
    """Starts a container in the background and returns its id. It ends by itself
    after 15 minutes, should nobody be left to end it.
    """
    container = self.podman(*self._run, '--detach', '--timeout=900', *options,
                            image, *arguments).stdout.strip()
    self._containers.append(container)
    return container

  def run(self, image, *arguments, options=(), check=True, timeout=120):
    """Runs a container to its end and returns podman's CompletedProcess, with
    the program's output and exit code.
    """
    return self.podman(*self._run, '--rm', *options, image, *arguments,
                       check=check, timeout=timeout)

  def state(self, container):
    return json.loads(self.podman('container', 'inspect', container).stdout)[0]

  def remove(self, container):
    """Ends it if it runs."""
    self.podman('rm', '--force', '--time=0', container)
    self._containers.remove(container)

  def logs(self, container):
    result = self.podman('logs', container, check=False)
    return result.stdout + result.stderr

  def close(self):
    for container in self._containers:
      self.podman('rm', '--force', '--time=0', container, check=False)
    self.podman('image', 'umount', '--all', '--force', check=False)
    shutil.rmtree(self._state)
    shutil.rmtree(self._folder)
