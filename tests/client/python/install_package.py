"""Builds the package of client/python and installs it as its user would.

The wheel goes into a new virtual environment, and the tests run there. Nothing
comes from a network: what the package depends on, and what checks it, is seen
through from the environment that runs this program
(docker/install_dependencies.sh). pip still makes sure that every declared
dependency is there in a version that fits.

  python install_package.py --source=client/python --out=FOLDER

FOLDER gets environment/, wheels/ (the wheel) and sdist/ (a source distribution,
and in sdist/wheels/ the wheel that is built from it).
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv

OFFLINE = ['--no-index', '--disable-pip-version-check', '--quiet']


def pip(*arguments):
  subprocess.run([sys.executable, '-m', 'pip', *map(str, arguments)],
                 check=True)


def build_wheel(source, folder):
  pip('wheel', '--no-build-isolation', '--no-deps', *OFFLINE,
      '--wheel-dir', folder, source)
  wheel, = folder.glob('*.whl')
  return wheel


def build_sdist(source, folder):
  subprocess.run([sys.executable, '-m', 'hatchling', 'build', '--target',
                  'sdist', '--directory', folder], cwd=source, check=True,
                 stdout=subprocess.DEVNULL)
  sdist, = folder.glob('*.tar.gz')
  return sdist


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--source', required=True, type=pathlib.Path)
  parser.add_argument('--out', required=True, type=pathlib.Path)
  options = parser.parse_args()
  out = options.out.resolve()
  shutil.rmtree(out, ignore_errors=True)
  wheels, sdist = out / 'wheels', out / 'sdist'
  for folder in (wheels, sdist):
    folder.mkdir(parents=True)
  wheel = build_wheel(options.source, wheels)
  build_wheel(build_sdist(options.source, sdist), sdist / 'wheels')

  environment = out / 'environment'
  venv.create(environment, with_pip=False, symlinks=True)
  packages = pathlib.Path(sysconfig.get_path(
      'purelib', 'venv', {'base': str(environment)}))
  (packages / 'dependencies.pth').write_text(
      sysconfig.get_path('purelib') + '\n')
  pip('--python', environment / 'bin/python', 'install', *OFFLINE, wheel)


if __name__ == '__main__':
  main()
