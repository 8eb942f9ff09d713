"""Certificates of one's own, made by the openssl program while a test runs."""

import pathlib
import subprocess


def openssl(*arguments):
  subprocess.run(['openssl', *map(str, arguments)], check=True,
                 capture_output=True)


class Authority:
  """Signs certificates into a folder."""

  def __init__(self, folder, name):
    self._folder = pathlib.Path(folder)
    self._name = name
    self.pem = self._folder / f'{name}.pem'
    self._key = self._folder / f'{name}.key'
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
            f'/CN={name}', '-keyout', self._key, '-out', self.pem)
    self._signed = 0

  def sign(self, name='localhost', days=1):
    """Paths of a new certificate and its key."""
    self._signed += 1
    stem = self._folder / f'{self._name}-{self._signed}'
    key, request = stem.with_suffix('.key'), stem.with_suffix('.csr')
    extensions, certificate = stem.with_suffix('.ext'), stem.with_suffix('.crt')
    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-subj', f'/CN={name}',
            '-keyout', key, '-out', request)
    extensions.write_text(f'subjectAltName=DNS:{name}\n')
    openssl('x509', '-req', '-in', request, '-CA', self.pem, '-CAkey',
            self._key, '-CAcreateserial', '-days', days, '-extfile', extensions,
            '-out', certificate)
    return certificate, key
