"""Where a server is, and how it is reached."""

import os
import pathlib
import tempfile
import unittest
from unittest import mock

import ddgan
from ddgan import _connection


def connect(address='localhost:1', **changes):
  arguments = {'tls': False, 'token': None, 'token_file': None,
               'token_without_tls': False, 'client_id': None}
  return _connection.check_connection(address, **{**arguments, **changes})


class ConnectionTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)

  def write(self, name, content):
    path = self.folder / name
    path.write_bytes(content)
    return path

  def test_knows_this_machine_by_its_usual_names(self):
    for address in ('localhost:1', 'LOCALHOST:1', '127.0.0.1:1',
                    '127.9.8.7:50051', '[::1]:1', '[0:0::1]:1',
                    '[::ffff:127.0.0.1]:1', '[::ffff:127.9.9.9]:1',
                    'ipv4:127.0.0.1:1', 'ipv6:[::1]:1', 'unix:/run/ddgan.sock'):
      self.assertTrue(_connection.is_loopback(address), address)
    for address in ('example.org:1', '10.0.0.1:1', '128.0.0.1:1',
                    'localhost.example.org:1', '[::2]:1', '127.0.0.1.x:1',
                    '127.1:1', 'dns:///localhost:1', '', 'localhost', '[::1:1',
                    '[::ffff:10.0.0.1]:1', '[127.0.0.1]:1', 'ipv4:10.0.0.1:1'):
      self.assertFalse(_connection.is_loopback(address), address)

  def test_names_a_server_without_a_port(self):
    for address in ('host:1', '[::1]:65535', 'unix:/socket', 'dns:///host:1',
                    'ipv4:10.0.0.1:5'):
      _connection.check_address(address)
    for address in ('', 'host', ':1', 'host:', 'host:0', 'host:65536',
                    'host:1x', 'host:+1', 'http://host'):
      with self.assertRaisesRegex(ValueError, r'address: .*\[1, 65535\]'):
        connect(address)
    for address in ('http://localhost:50051', 'https://host:443'):
      with self.assertRaisesRegex(ValueError, r'address: .*without http://.*tls'):
        connect(address)
    with self.assertRaisesRegex(TypeError, 'address: of type int'):
      connect(50051)

  def test_without_an_address_the_environment_names_the_server(self):
    for value, address in (('host:7', 'host:7'), ('', 'localhost:50051')):
      with mock.patch.dict(os.environ, {'DDGAN_SERVER': value}):
        self.assertEqual(connect(None).address, address)

  def test_only_the_loopback_goes_past_the_proxy(self):
    option = ('grpc.enable_http_proxy', 0)
    self.assertIn(option, connect('127.0.0.1:1').options)
    self.assertIn(option, connect('127.0.0.1:1', tls=True).options)
    self.assertNotIn(option, connect('example.org:1').options)

  def test_takes_the_largest_reply_that_a_server_sends(self):
    self.assertIn(('grpc.max_receive_message_length', 65 << 20),
                  connect().options)

  def test_notices_that_a_machine_has_vanished(self):
    self.assertLessEqual({('grpc.keepalive_time_ms', 30000),
                          ('grpc.keepalive_timeout_ms', 20000),
                          ('grpc.http2.max_pings_without_data', 0)},
                         set(connect().options))

  def test_names_what_of_tls_is_of_a_wrong_type(self):
    for name, value in (('ca', 5.0), ('server_name', 5)):
      with self.assertRaisesRegex(TypeError, f'tls.{name}: of type'):
        connect(tls=ddgan.Tls(**{name: value}))
    with self.assertRaisesRegex(ValueError, 'tls.ca: a str is a path'):
      connect(tls=ddgan.Tls(ca='-----BEGIN CERTIFICATE-----'))

  def test_sends_no_token_in_the_clear_to_another_machine(self):
    path = self.write('token', b'secret\n')
    for which in ({'token': 'secret'}, {'token_file': path}):
      name, = which
      with self.assertRaisesRegex(ValueError, f'{name}: without tls'):
        connect('example.org:1', **which)
      for arguments in ({'address': 'example.org:1', 'tls': True},
                        {'address': 'example.org:1', 'token_without_tls': True},
                        {'address': 'localhost:1'}):
        self.assertEqual(connect(**arguments, **which).metadata,
                         (('authorization', 'Bearer secret'),))

  def test_a_token_is_one_word_and_no_message_shows_it(self):
    for token in ('', 'two words', 'secret\n', 'sécret', 513 * 'x', 'a\0b'):
      path = self.write('token', f'{token} x'.encode() if token else b' ')
      for which in ({'token': token}, {'token_file': path}):
        with self.assertRaises(ValueError) as caught:
          connect(**which)
        message = str(caught.exception)
        self.assertRegex(message, '^token(_file)?: .*1 to 512 characters')
        self.assertNotIn('ecret', message)
    with self.assertRaisesRegex(ValueError, 'token, token_file: both'):
      connect(token='a', token_file='b')
    with self.assertRaisesRegex(TypeError, 'token: of type bytes'):
      connect(token=b'secret')
    self.assertNotIn('secret', repr(connect(token='secret')))

  def test_reads_files_of_bounded_size(self):
    with self.assertRaises(FileNotFoundError):
      connect(token_file='/no/such/token')
    with self.assertRaisesRegex(ValueError, 'token_file: /dev/zero has more'):
      connect(token_file='/dev/zero')
    with self.assertRaisesRegex(ValueError, 'tls.ca: /dev/zero has more'):
      connect(tls=ddgan.Tls(ca='/dev/zero'))
    for empty in (self.write('empty', b''), b''):
      with self.assertRaisesRegex(ValueError, 'tls.ca: is empty'):
        connect(tls=ddgan.Tls(ca=empty))

  def test_certificate_and_key_go_together(self):
    for tls in (ddgan.Tls(cert=b'x'), ddgan.Tls(key=b'x')):
      with self.assertRaisesRegex(ValueError, 'tls.cert, tls.key'):
        connect(tls=tls)
    self.assertNotIn('secret', repr(ddgan.Tls(cert=b'x', key=b'secret')))
    with self.assertRaisesRegex(TypeError, 'tls: of type str'):
      connect(tls='ca.pem')

  def test_the_certificates_name_can_be_another(self):
    self.assertIn(
        ('grpc.ssl_target_name_override', 'images'),
        connect(tls=ddgan.Tls(server_name='images')).options)
    self.assertIsNotNone(connect(tls=True).credentials)
    self.assertIsNone(connect().credentials)

  def test_the_callers_name_is_printable(self):
    self.assertEqual(connect(client_id='night job').metadata,
                     (('ddgan-client-id', 'night job'),))
    for name in ('', 65 * 'x', 'naïve', 'a\nb'):
      with self.assertRaisesRegex(ValueError, 'client_id: '):
        connect(client_id=name)

  def test_a_client_checks_its_arguments_before_it_connects(self):
    for make in (ddgan.Client, ddgan.AsyncClient):
      for arguments, error in (({'timeout': 0}, ValueError),
                               ({'timeout': '5'}, TypeError),
                               ({'retry': 5}, TypeError),
                               ({'on_retry': 5}, TypeError),
                               ({'model': ''}, ValueError),
                               ({'address': 'host'}, ValueError)):
        with self.assertRaisesRegex(error, f'{list(arguments)[0]}: '):
          make(**arguments)


if __name__ == '__main__':
  unittest.main(verbosity=2)
