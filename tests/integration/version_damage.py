"""Ways in which the files of a version can be wrong.

Each takes the version's folder. Those that end in `seal` also write a manifest
that agrees with the damage, as someone would who publishes it in earnest.
"""

import hashlib
import json
import os
import struct

WEIGHTS = 'model.safetensors'
HUNDRED_GB = 100 * 10**9


def truncate(folder):
  os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size // 2)


def flip_bit(folder):
  content = bytearray((folder / WEIGHTS).read_bytes())
  content[-len(content) // 3] ^= 0x10
  (folder / WEIGHTS).write_bytes(content)


def remove_weights(folder):
  (folder / WEIGHTS).unlink()


def claim_100_gb_in_manifest(folder):
  manifest = json.loads((folder / 'manifest.json').read_text())
  manifest['files'][WEIGHTS]['size'] = HUNDRED_GB
  (folder / 'manifest.json').write_text(json.dumps(manifest))


def tear_manifest(folder):
  text = (folder / 'manifest.json').read_text()
  (folder / 'manifest.json').write_text(text[:len(text) // 2])


def flip_high_bit_of_manifest(folder):
  """In a name, which is no text in UTF-8 any more."""
  content = bytearray((folder / 'manifest.json').read_bytes())
  content[content.index(b'model.safetensors')] ^= 0x80
  (folder / 'manifest.json').write_bytes(content)


def claim_100_gb_in_header_and_seal(folder):
  content = (folder / WEIGHTS).read_bytes()
  (folder / WEIGHTS).write_bytes(struct.pack('<Q', HUNDRED_GB) + content[8:])
  seal(folder)


def claim_a_100_gb_tensor_and_seal(folder):
  header, data = _read_weights(folder)
  header[_convolution(header)]['data_offsets'][1] = HUNDRED_GB
  _write_weights(folder, header, data)
  seal(folder)


def change_shape_and_seal(folder):
  header, data = _read_weights(folder)
  tensor = header[_convolution(header)]
  tensor['shape'] = tensor['shape'][::-1]
  _write_weights(folder, header, data)
  seal(folder)


def rename_tensor_and_seal(folder):
  header, data = _read_weights(folder)
  header['stranger'] = header.pop(_convolution(header))
  _write_weights(folder, header, data)
  seal(folder)


def put_nan_and_seal(folder):
  header, data = _read_weights(folder)
  begin, _ = header[_convolution(header)]['data_offsets']
  data[begin:begin + 4] = struct.pack('<f', float('nan'))
  _write_weights(folder, header, data)
  seal(folder)


def make_images_constant_and_seal(folder):
  """Weights that are sound in themselves, and draw nothing."""
  header, data = _read_weights(folder)
  begin, end = header[_convolution(header)]['data_offsets']
  data[begin:end] = bytes(end - begin)
  _write_weights(folder, header, data)
  seal(folder)


def ask_for_what_nobody_has_and_seal(folder):
  config = json.loads((folder / 'config.json').read_text())
  config['resblock_type'] = 'ddpm'
  (folder / 'config.json').write_text(json.dumps(config))
  seal(folder)


def seal(folder):
  """Writes the manifest that the other two files ask for."""
  files = {}
  for name in ('config.json', WEIGHTS):
    content = (folder / name).read_bytes()
    files[name] = {'sha256': hashlib.sha256(content).hexdigest(),
                   'size': len(content)}
  (folder / 'manifest.json').write_text(
      json.dumps({'format_version': 1, 'files': files}))


def _read_weights(folder):
  content = (folder / WEIGHTS).read_bytes()
  length, = struct.unpack('<Q', content[:8])
  return json.loads(content[8:8 + length]), bytearray(content[8 + length:])


def _write_weights(folder, header, data):
  text = json.dumps(header).encode()
  text += b' ' * (-len(text) % 8)
  (folder / WEIGHTS).write_bytes(struct.pack('<Q', len(text)) + text + data)


def _convolution(header):
  """The name of the last one: it makes the image."""
  return [name for name, tensor in header.items()
          if len(tensor.get('shape', [])) == 4][-1]
