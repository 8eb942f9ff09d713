"""docker/convert_efficientnet.py: what it makes of a small file, and that a
file that asks for anything else gets nothing."""
import collections
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import types
import unittest

SCRIPT = (
    pathlib.Path(__file__).resolve().parents[4] / 'docker' /
    'convert_efficientnet.py')


def rebuild(*_):
  raise AssertionError('only its name is pickled')


# Pickles name these as PyTorch's own files do.
UTILS = types.ModuleType('torch._utils')
UTILS._rebuild_tensor_v2 = rebuild
TORCH = types.ModuleType('torch')
TORCH._utils = UTILS
rebuild.__module__, rebuild.__qualname__ = 'torch._utils', '_rebuild_tensor_v2'
for name in ('FloatStorage', 'LongStorage'):
  setattr(TORCH, name, type(name, (), {'__module__': 'torch'}))
sys.modules.update({'torch': TORCH, 'torch._utils': UTILS})


class Storage:

  def __init__(self, kind, key, length):
    self.id = ('storage', kind, key, 'cpu', length, None)


class Tensor:

  def __init__(self, storage, offset, shape, strides):
    self.arguments = (storage, offset, shape, strides, False,
                      collections.OrderedDict())

  def __reduce__(self):
    return rebuild, self.arguments


class Pickler(pickle.Pickler):

  def persistent_id(self, value):
    return value.id if isinstance(value, Storage) else None


def legacy_file(tensors, storages):
  """The bytes of a file of PyTorch before 1.6."""
  file = io.BytesIO()
  for value in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True},
                collections.OrderedDict(tensors), sorted(storages)):
    Pickler(file, protocol=2).dump(value)
  for _, (count, data) in sorted(storages.items()):
    file.write(struct.pack('<q', count) + data)
  return file.getvalue()


def floats(*values):
  return struct.pack(f'<{len(values)}f', *values)


WEIGHT = Storage(TORCH.FloatStorage, '7', 6)
# A permuted tensor, and a counter, which weights do not need.
TENSORS = {
    'weight': Tensor(WEIGHT, 0, (3, 2), (1, 3)),
    'count': Tensor(Storage(TORCH.LongStorage, '9', 1), 0, (), ()),
    'bias': Tensor(Storage(TORCH.FloatStorage, '8', 1), 0, (1,), (1,)),
}
STORAGES = {
    '7': (6, floats(0, 1, 2, 3, 4, 5)),
    '8': (1, floats(9)),
    '9': (1, struct.pack('<q', 5)),
}


class ConvertEfficientnetTest(unittest.TestCase):

  def convert(self, content):
    """What it writes, or None and its error."""
    with tempfile.TemporaryDirectory() as folder:
      source = os.path.join(folder, 'a.pth')
      target = os.path.join(folder, 'a.safetensors')
      with open(source, 'wb') as file:
        file.write(content)
      run = subprocess.run([sys.executable, SCRIPT, source, target],
                           capture_output=True,
                           text=True)
      if run.returncode != 0:
        self.assertFalse(os.path.exists(target))
        return None, run.stderr
      with open(target, 'rb') as file:
        return file.read(), run.stderr

  def test_writes_row_major_floats(self):
    content, error = self.convert(legacy_file(TENSORS, STORAGES))
    self.assertEqual(error, '')
    length = struct.unpack('<Q', content[:8])[0]
    self.assertEqual(length % 8, 0)
    self.assertEqual(
        json.loads(content[8:8 + length]), {
            'weight': {
                'dtype': 'F32',
                'shape': [3, 2],
                'data_offsets': [0, 24]
            },
            'bias': {
                'dtype': 'F32',
                'shape': [1],
                'data_offsets': [24, 28]
            },
        })
    self.assertEqual(content[8 + length:], floats(0, 3, 1, 4, 2, 5, 9))

  def test_calls_nothing_that_a_file_names(self):
    with tempfile.TemporaryDirectory() as folder:
      trace = os.path.join(folder, 'trace')

      class Attack:

        def __reduce__(self):
          return os.system, (f'touch {trace}',)

      content, error = self.convert(legacy_file({'weight': Attack()}, STORAGES))
      self.assertIsNone(content)
      self.assertIn('posix.system is not allowed', error)
      self.assertFalse(os.path.exists(trace))

  def test_refuses_what_is_not_such_a_file(self):
    whole = legacy_file(TENSORS, STORAGES)
    for content, reason in (
        (whole[:-1], 'cut short'),
        (pickle.dumps(1, 2) * 5, 'not a file of PyTorch before 1.6'),
        (legacy_file({'weight': Tensor(WEIGHT, 1, (3, 2), (1, 3))},
                     STORAGES), 'in a storage of 6 values'),
        (legacy_file({'weight': Tensor(WEIGHT, 0, (2, 2), (1, 3))},
                     STORAGES), 'in a storage of 6 values'),
    ):
      with self.subTest(reason):
        result, error = self.convert(content)
        self.assertIsNone(result)
        self.assertIn(reason, error)


if __name__ == '__main__':
  unittest.main()
