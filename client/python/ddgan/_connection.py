"""Where a server is, and how it is reached: TLS, tokens, proxies.

The same rules as those of client/secure_channel.h.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from typing import Any, List, Optional, Tuple, Union

import grpc

from ddgan import _arguments
from ddgan import _errors
from ddgan import _retry

PathOrPem = Union[str, 'os.PathLike[str]', bytes]

DEFAULT_ADDRESS = 'localhost:50051'
# The server sends up to 64 MiB of images, and the fields around them.
MAX_REPLY_BYTES = 65 << 20
_MAX_FILE_BYTES = 1 << 20
_MAX_TOKEN_SIZE = 512
_SCHEMES = ('unix:', 'unix-abstract:', 'vsock:', 'ipv4:', 'ipv6:', 'dns:',
            'xds:')


@dataclasses.dataclass(frozen=True)
class Tls:
  """How to reach a server over TLS. Each file is a path, or its content as
  bytes, in PEM, of at most 1 MiB.

  Attributes:
    ca: The authorities that may vouch for the server; None: those that gRPC
      brings along.
    cert, key: Who this client is, for servers that ask (mTLS); both or neither.
    server_name: The name that the server's certificate must be for, where it is
      not the one that the server is reached by.
  """

  ca: Optional[PathOrPem] = None
  cert: Optional[PathOrPem] = None
  key: Optional[PathOrPem] = dataclasses.field(default=None, repr=False)
  server_name: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Connection:
  """What it takes to open a channel."""

  address: str
  # None without TLS.
  credentials: Optional[grpc.ChannelCredentials]
  options: Tuple[Tuple[str, Any], ...]
  # Sent with every call.
  metadata: Tuple[Tuple[str, str], ...] = dataclasses.field(repr=False)


def check_connection(
    address: Optional[str], *, tls: Union[bool, Tls], token: Optional[str],
    token_file: Union[str, 'os.PathLike[str]', None], token_without_tls: bool,
    client_id: Optional[str]) -> Connection:
  """Checks the arguments and reads the files; connects nowhere.

  No message shows what is in a file, or the token. A key or certificate that is
  no good shows in the calls, which are then UNAVAILABLE.
  """
  if address is None:
    address = os.environ.get('DDGAN_SERVER') or DEFAULT_ADDRESS
  check_address(address)
  if not isinstance(tls, (bool, Tls)):
    raise TypeError(f'tls: of type {type(tls).__name__}; must be a bool or a '
                    'ddgan.Tls')
  loopback = is_loopback(address)
  options: List[Tuple[str, Any]] = [
      ('grpc.max_receive_message_length', MAX_REPLY_BYTES),
      # A machine or route that vanishes ends no connection: a call that waits
      # for a server's next word would wait for ever.
      ('grpc.keepalive_time_ms', 30_000),
      ('grpc.keepalive_timeout_ms', 20_000),
      ('grpc.http2.max_pings_without_data', 0)]
  if loopback:
    # A proxy that the environment names is another machine, whose loopback is
    # not this one's.
    options.append(('grpc.enable_http_proxy', 0))
  credentials = None
  if tls:
    settings = Tls() if tls is True else tls
    credentials = _credentials(settings)
    if settings.server_name is not None:
      if not isinstance(settings.server_name, str):
        raise TypeError(f'tls.server_name: of type '
                        f'{type(settings.server_name).__name__}; must be a str')
      options.append(('grpc.ssl_target_name_override', settings.server_name))
  metadata: List[Tuple[str, str]] = []
  if token is not None or token_file is not None:
    if token is not None and token_file is not None:
      raise ValueError('token, token_file: both are given; one of them holds '
                       'the token')
    which = 'token' if token_file is None else 'token_file'
    if not tls and not token_without_tls and not loopback:
      raise ValueError(
          f'{which}: without tls everybody on the way to {address} could read '
          'the token; token_without_tls=True sends it all the same')
    metadata.append(('authorization', f'Bearer {_token(token, token_file)}'))
  if client_id is not None:
    metadata.append(('ddgan-client-id', _arguments.client_id(client_id)))
  return Connection(address, credentials, tuple(options), tuple(metadata))


def check_address(address: object) -> None:
  """ValueError unless it is 'HOST:PORT' or a target with one of gRPC's
  schemes, which are gRPC's to read."""
  if not isinstance(address, str):
    raise TypeError(f'address: of type {type(address).__name__}; must be a '
                    "str, 'HOST:PORT'")
  if address.startswith(_SCHEMES):
    return
  if '://' in address:
    raise ValueError(f'address: {address!r}; must be HOST:PORT with a port in '
                     '[1, 65535], without http:// or the like; tls=True is for '
                     'https')
  host, _, port = address.rpartition(':')
  if not host or not re.fullmatch('[0-9]{1,5}', port, re.ASCII) or (
      not 1 <= int(port) <= 65535):
    raise ValueError(f'address: {address!r}; must be HOST:PORT with a port in '
                     '[1, 65535]')


def is_loopback(address: str) -> bool:
  """Whether the address certainly is this machine: localhost, 127.0.0.0/8 (also
  as IPv6 writes it), ::1 or a Unix socket. As client/secure_channel.h."""
  if address.startswith('unix:'):
    return True
  host, _, _ = re.sub('^ipv[46]:', '', address).rpartition(':')
  if host.lower() == 'localhost':
    return True
  try:
    if host.startswith('[') and host.endswith(']'):
      v6 = ipaddress.IPv6Address(host[1:-1])
      return (v6.ipv4_mapped or v6).is_loopback
    return ipaddress.IPv4Address(host).is_loopback
  except ValueError:
    return False


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
  if (tls.cert is None) != (tls.key is None):
    raise ValueError('tls.cert, tls.key: go together; one of them is missing')
  return grpc.ssl_channel_credentials(
      _pem('tls.ca', tls.ca), _pem('tls.key', tls.key),
      _pem('tls.cert', tls.cert))


def _pem(argument: str, source: Optional[PathOrPem]) -> Optional[bytes]:
  if source is None:
    return None
  content = source if isinstance(source, bytes) else _read(argument, source)
  # gRPC would take it for "not given".
  if not content:
    raise ValueError(f'{argument}: is empty')
  return content


def _read(argument: str, path: Union[str, 'os.PathLike[str]']) -> bytes:
  try:
    path = os.fspath(path)
  except TypeError:
    raise TypeError(f'{argument}: of type {type(path).__name__}; must be a path, '
                    'or the content as bytes') from None
  if isinstance(path, str) and path.startswith('-----BEGIN'):
    raise ValueError(f'{argument}: a str is a path; PEM is passed as bytes')
  with open(path, 'rb') as file:
    content = file.read(_MAX_FILE_BYTES + 1)
  if len(content) > _MAX_FILE_BYTES:
    raise ValueError(
        f'{argument}: {path} has more than {_MAX_FILE_BYTES} bytes')
  return content


def _token(token: Optional[str],
           token_file: Union[str, 'os.PathLike[str]', None]) -> str:
  wanted = (f'must be one token of 1 to {_MAX_TOKEN_SIZE} characters of ASCII '
            'without blanks')
  if token_file is not None:
    text = _read('token_file', token_file).decode('latin-1').strip()
    where = f'token_file: {token_file}'
  else:
    if not isinstance(token, str):
      raise TypeError(f'token: of type {type(token).__name__}; {wanted}')
    text, where = token, 'token'
  if not re.fullmatch('[!-~]{1,%d}' % _MAX_TOKEN_SIZE, text):
    raise ValueError(f'{where}: {wanted}')
  return text


def error_of(failure: Any, address: str) -> _errors.Error:
  """What gRPC raises, of either kind of channel, as this package's Error."""
  pushback = None
  for key, value in failure.trailing_metadata() or ():
    if key == 'grpc-retry-pushback-ms':
      text = value.decode('latin-1') if isinstance(value, bytes) else value
      pushback = _retry.parse_pushback(text)
  return _errors.Error(failure.code(), failure.details() or '', address,
                       pushback)
