"""A small collector of traces: keeps what a server exports by OTLP."""

import concurrent.futures
import threading

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc


class ReceivedSpan:
  """One span, with plain values in the place of protobuf's."""

  def __init__(self, resource, span):
    self.resource = _values(resource.attributes)
    self.trace_id = span.trace_id.hex()
    self.span_id = span.span_id.hex()
    self.parent_id = span.parent_span_id.hex()
    self.state = span.trace_state
    self.name = span.name
    self.kind = span.kind
    self.start = span.start_time_unix_nano
    self.end = span.end_time_unix_nano
    self.attributes = _values(span.attributes)
    self.links = [(link.trace_id.hex(), link.span_id.hex())
                  for link in span.links]
    self.status = span.status.code

  @property
  def identity(self):
    return self.trace_id, self.span_id


def _values(attributes):
  return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value):
  if value.WhichOneof('value') == 'array_value':
    return [_value(item) for item in value.array_value.values]
  return getattr(value, value.WhichOneof('value'))


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
  """Listens on a port of the loopback that the system picks. Thread-safe."""

  def __init__(self, certificate=None, key=None):
    """With a certificate and its key (paths), it speaks TLS alone."""
    self._lock = threading.Lock()
    self._spans = []
    self._metadata = []
    self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        self, self._server)
    if certificate is None:
      self.port = self._server.add_insecure_port('127.0.0.1:0')
    else:
      self.port = self._server.add_secure_port(
          'localhost:0', grpc.ssl_server_credentials(
              [(key.read_bytes(), certificate.read_bytes())]))
    self.address = f'127.0.0.1:{self.port}'
    self._server.start()

  def Export(self, request, context):  # pylint: disable=invalid-name
    spans = [ReceivedSpan(group.resource, span)
             for group in request.resource_spans
             for scope in group.scope_spans
             for span in scope.spans]
    with self._lock:
      self._spans += spans
      self._metadata += context.invocation_metadata()
    return trace_service_pb2.ExportTraceServiceResponse()

  def spans(self):
    with self._lock:
      return list(self._spans)

  def metadata(self):
    """Of all calls, as pairs."""
    with self._lock:
      return [tuple(pair) for pair in self._metadata]

  def close(self):
    self._server.stop(None).wait()
