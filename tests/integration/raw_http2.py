"""HTTP/2 by hand: a caller that does what no gRPC library would.

It opens streams, and reads, pings or gives room for replies only when told to.
"""

import socket
import struct

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

(DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4

INITIAL_WINDOW_SIZE = 4  # A setting.
LARGEST_WINDOW = 2**31 - 1

CANCEL, ENHANCE_YOUR_CALM = 8, 11  # Error codes.


def frame(kind, flags, stream, payload=b''):
  return (struct.pack('>I', len(payload))[1:]
          + struct.pack('>BBI', kind, flags, stream) + payload)


def integer(value, prefix_bits=7):
  """As HPACK writes it behind bits that are 0."""
  largest = (1 << prefix_bits) - 1
  if value < largest:
    return bytes([value])
  result = bytes([largest])
  value -= largest
  while value > 127:
    result += bytes([value & 127 | 128])
    value >>= 7
  return result + bytes([value])


def header_block(headers):
  """HPACK without its tables: each field as a literal."""
  return b''.join(
      b'\0' + integer(len(name)) + name.encode()
      + integer(len(value)) + value.encode() for name, value in headers)


def call_headers(method, metadata=()):
  return [(':method', 'POST'), (':scheme', 'http'), (':path', method),
          (':authority', 'test'), ('te', 'trailers'),
          ('content-type', 'application/grpc'), *metadata]


def connect(address, source='127.0.0.1', receive_buffer=None):
  """A TCP connection from one of the loopback's many addresses."""
  host, port = address.rsplit(':', 1)
  connection = socket.socket()
  if receive_buffer is not None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
  connection.bind((source, 0))
  connection.settimeout(30)
  connection.connect((host, int(port)))
  return connection


class RawHttp2:
  """One connection. `window`: what each stream's reply may take of it."""

  def __init__(self, address, source='127.0.0.1', window=65535,
               receive_buffer=None):
    self.socket = connect(address, source, receive_buffer)
    self._next_stream = 1
    self._received = b''
    settings = struct.pack('>HI', INITIAL_WINDOW_SIZE, window)
    self.socket.sendall(
        PREFACE + frame(SETTINGS, 0, 0, settings)
        + frame(WINDOW_UPDATE, 0, 0,
                struct.pack('>I', LARGEST_WINDOW - 65535)))

  def call(self, method, message, metadata=()):
    """Starts a call of one message; returns its stream."""
    stream = self.begin(method, metadata)
    body = struct.pack('>BI', 0, len(message)) + message
    self.socket.sendall(frame(DATA, END_STREAM, stream, body))
    return stream

  def begin(self, method, metadata=()):
    """Starts a call without a message; returns its stream."""
    stream = self._next_stream
    self._next_stream += 2
    self.socket.sendall(frame(HEADERS, END_HEADERS, stream,
                              header_block(call_headers(method, metadata))))
    return stream

  def ping(self, times=1):
    self.socket.sendall(times * frame(PING, 0, 0, b'\0' * 8))

  def read_frame(self, limit_s=30):
    """(kind, flags, stream, payload), or None at the end of the connection."""
    self.socket.settimeout(limit_s)
    try:
      header = self._receive(9)
      payload = header and self._receive(int.from_bytes(header[:3], 'big'))
    except ConnectionResetError:
      return None
    if header is None or payload is None:
      return None
    kind, flags, stream = struct.unpack('>BBI', header[3:])
    return kind, flags, stream, payload

  def wait_for(self, kind, limit_s=30):
    """The next frame of that kind; None if the connection ends before it."""
    while True:
      received = self.read_frame(limit_s)
      if received is None or received[0] == kind:
        return received

  def wait_for_end(self, limit_s=30):
    while self.read_frame(limit_s) is not None:
      continue

  def close(self):
    self.socket.close()

  def _receive(self, size):
    while len(self._received) < size:
      chunk = self.socket.recv(1 << 16)
      if not chunk:
        return None
      self._received += chunk
    result, self._received = self._received[:size], self._received[size:]
    return result
