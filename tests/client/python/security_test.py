"""Both clients reach a real server by TLS, client certificates and tokens.

The certificates are made by the openssl program while the test runs.

Run by CTest, or by hand, with the package installed and tests/integration in
PYTHONPATH:
  python security_test.py --server=build/release/server/ddgan-server \
      --model_root=build/release/tests/integration/tiny_models
"""

import argparse
import hashlib
import json
import os
import pathlib
import tempfile
import unittest

import grpc

import ddgan
from both_clients import AsyncCases
from both_clients import SyncCases
from certificates import Authority
from real_server import run_tests
from server_process import ServerProcess

TOKENS = {name: f'{name}-token-{os.urandom(8).hex()}'
          for name in ('generate', 'read', 'unknown')}
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
# What the certificate is for, while the server is reached by its address.
NAME = 'localhost'

options = argparse.Namespace()  # Filled by run_tests.


class SecurityCases:

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory(prefix='ddgan-tls-')
    cls.addClassCleanup(folder.cleanup)
    cls.folder = pathlib.Path(folder.name)
    cls.servers = Authority(cls.folder, 'servers')
    cls.clients = Authority(cls.folder, 'clients')
    cls.strangers = Authority(cls.folder, 'strangers')
    cls.client_pair = cls.clients.sign('client')
    certificate, key = cls.servers.sign(NAME)
    tokens = cls.folder / 'tokens.json'
    tokens.write_text(json.dumps({'tenants': [{'name': 'studio', 'tokens': [
        {'sha256': hashlib.sha256(TOKENS[scope].encode()).hexdigest(),
         'scopes': [scope]} for scope in ('generate', 'read')]}]}))
    cls.server = ServerProcess(
        options.server, options.model_root,
        [f'--tls_cert={certificate}', f'--tls_key={key}',
         f'--tls_client_ca={cls.clients.pem}', f'--token_file={tokens}'])
    cls.addClassCleanup(cls.server.close)

  def tls(self, **changes):
    certificate, key = self.client_pair
    return ddgan.Tls(**{'ca': self.servers.pem, 'cert': certificate,
                        'key': key, 'server_name': NAME, **changes})

  def connect(self, tls, token='generate'):
    return self.client(self.server.grpc_address, tls=tls, token=TOKENS[token],
                       retry=ddgan.RetryPolicy(1))

  def assert_error(self, code, call):
    with self.assertRaises(ddgan.Error) as caught:
      call()
    self.assertEqual(caught.exception.code, code, caught.exception)
    for secret in TOKENS.values():
      self.assertNotIn(secret, str(caught.exception))

  def test_paths_and_bytes_will_do(self):
    certificate, key = self.client_pair
    for tls in (self.tls(), self.tls(ca=str(self.servers.pem)),
                self.tls(ca=self.servers.pem.read_bytes(),
                         cert=certificate.read_bytes(), key=key.read_bytes())):
      client = self.connect(tls)
      self.assertEqual(len(client.generate(2)), 2)
      self.assertEqual(len(list(client.stream(2))), 4)

  def test_a_token_in_a_file(self):
    path = self.folder / 'token'
    path.write_text(TOKENS['generate'] + '\n')
    client = self.client(self.server.grpc_address, tls=self.tls(),
                         token_file=path)
    self.assertEqual(len(client.generate()), 1)

  def test_what_one_side_does_not_trust_is_unavailable(self):
    stranger, key = self.strangers.sign('client')
    for what, tls in (
        ('plaintext', False), ('no certificate', self.tls(cert=None, key=None)),
        ('a stranger', self.tls(cert=stranger, key=key)),
        ('a mismatched key', self.tls(key=key)),
        ('a server of a stranger', self.tls(ca=self.strangers.pem)),
        ('a server with another name', self.tls(server_name='elsewhere')),
        ('authorities of the world', True)):
      with self.subTest(what):
        self.assert_error(UNAVAILABLE, self.connect(tls).generate)

  def test_tokens_are_for_what_they_are_for(self):
    self.assert_error(grpc.StatusCode.UNAUTHENTICATED,
                      self.connect(self.tls(), 'unknown').generate)
    reader = self.connect(self.tls(), 'read')
    self.assertEqual(len(reader.models.list()), 1)
    self.assert_error(grpc.StatusCode.PERMISSION_DENIED, reader.generate)
    self.assert_error(grpc.StatusCode.PERMISSION_DENIED,
                      self.connect(self.tls()).models.list)
    without = self.client(self.server.grpc_address, tls=self.tls())
    self.assert_error(grpc.StatusCode.UNAUTHENTICATED, without.generate)
    self.assertEqual(without.health(), ddgan.HealthStatus.SERVING)


class ClientSecurityTest(SecurityCases, SyncCases, unittest.TestCase):
  pass


class AsyncClientSecurityTest(SecurityCases, AsyncCases, unittest.TestCase):
  pass


if __name__ == '__main__':
  run_tests(__doc__, options)
