"""The one exception class of calls."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import grpc

_ADVICE = {
    'UNAVAILABLE':
        'Is a ddgan-server running at {address} and ready? If it wants TLS, '
        'say tls=True.',
    'UNAUTHENTICATED':
        'token= or token_file= names a token; the operator of the server hands '
        'them out.',
    'PERMISSION_DENIED':
        'token= or token_file= names a token; the operator of the server hands '
        'them out.',
    'NOT_FOUND':
        'models.list() says what the server has.',
    'DEADLINE_EXCEEDED':
        'Give it more time with timeout=, or ask for fewer images.',
    'RESOURCE_EXHAUSTED':
        'The server is full, or the reply would be too large: try again later, '
        'or ask for fewer images.',
    'UNIMPLEMENTED':
        'Is {address} a ddgan-server of this version?',
    'ABORTED':
        'Ask again, with version= if it must be that one.',
    'INTERNAL':
        "The server's log says more.",
    'DATA_LOSS':
        "The server's log says more.",
}


class Error(Exception):
  """A call that failed, in the server or on the way to it.

  Arguments that cannot be right never get that far: they are a ValueError or a
  TypeError that names the argument and its range.

  Attributes:
    code: What kind of failure, as gRPC names it. The server's own codes are
      described for each method in proto/ddgan/v1/. Beside them: UNAVAILABLE if
      the server cannot be reached, DEADLINE_EXCEEDED if `timeout` was too short
      for all attempts together, DATA_LOSS if the reply does not hold what was
      asked for, ABORTED if the files of the model's version changed between
      two parts of one request, CANCELLED if the client was closed meanwhile.
    details: The sentence that the server, or gRPC, says about it.
    address: The server that was called.
    retry_after: Seconds after which the server would like to be asked again;
      infinite if it would not; None if it did not say.
  """

  def __init__(self, code: grpc.StatusCode, details: str, address: str = '',
               retry_after: Optional[float] = None) -> None:
    super().__init__(code, details, address, retry_after)
    self.code = code
    self.details = details
    self.address = address
    self.retry_after = retry_after

  def __str__(self) -> str:
    text = f'{self.code.name}: {self.details}'
    advice = _ADVICE.get(self.code.name)
    if advice is None:
      return text
    return f"{text}\n  {advice.format(address=self.address or 'this address')}"

  def __reduce__(self) -> Tuple[Any, ...]:
    return type(self), (self.code, self.details, self.address, self.retry_after)


def data_loss(details: str) -> Error:
  """The reply is not an answer to what was asked."""
  return Error(grpc.StatusCode.DATA_LOSS, details)
