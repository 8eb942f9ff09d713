"""Runs the same cases with Client and with AsyncClient.

A test case that inherits BothClients' cases calls `self.client(address)`, which
is a Client, or an AsyncClient behind the same methods: each of them waits for
the coroutine, which runs in an event loop of its own thread.
"""

import asyncio
import inspect
import threading

import ddgan

# For one call, on the slowest machine.
LIMIT_S = 120


class Waiting:
  """An object of AsyncClient whose coroutines are waited for."""

  def __init__(self, wrapped, run):
    self._wrapped = wrapped
    self._run = run

  def __getattr__(self, name):
    value = getattr(self._wrapped, name)
    if name == 'models':
      return Waiting(value, self._run)
    if not callable(value):
      return value

    def call(*arguments, **named):
      result = value(*arguments, **named)
      if inspect.isawaitable(result):
        return self._run(result)
      if isinstance(result, ddgan.AsyncEventStream):
        return WaitingStream(result, self._run)
      return result

    return call


class WaitingStream:

  def __init__(self, stream, run):
    self._stream = stream
    self._run = run

  def __iter__(self):
    return self

  def __next__(self):
    try:
      return self._run(self._stream.__anext__())
    except StopAsyncIteration:
      raise StopIteration from None

  def close(self):
    self._run(self._stream.aclose())

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    self.close()


class SyncCases:
  """Mixed into a test case."""

  def client(self, address, **arguments):
    client = ddgan.Client(address, **arguments)
    self.addCleanup(client.close)
    return client


class AsyncCases:
  """Mixed into a test case. All its clients share one event loop: with several
  in a process, gRPC complains on stderr, though nothing goes wrong."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.loop = asyncio.new_event_loop()
    thread = threading.Thread(target=cls.loop.run_forever)
    thread.start()

    def end():
      cls.loop.call_soon_threadsafe(cls.loop.stop)
      thread.join()
      cls.loop.close()

    cls.addClassCleanup(end)

  @classmethod
  def run_in_loop(cls, coroutine):
    """Waits for what a coroutine returns."""
    async def awaited():
      return await coroutine
    return asyncio.run_coroutine_threadsafe(awaited(),
                                            cls.loop).result(LIMIT_S)

  def client(self, address, **arguments):
    client = Waiting(ddgan.AsyncClient(address, **arguments), self.run_in_loop)
    self.addCleanup(client.close)
    return client
