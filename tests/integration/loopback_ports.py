"""Ports of the loopback for programs that have to be told one."""

import socket

_held = []


def free_port():
  """A port that nobody else is given while this process lives.

  A socket stays bound to it, which a listener with SO_REUSEADDR, as all servers
  set it, does not mind. Who connects before there is one is refused.
  """
  holder = socket.socket()
  holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  holder.bind(('127.0.0.1', 0))
  _held.append(holder)
  return holder.getsockname()[1]
