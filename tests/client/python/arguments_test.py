"""What a caller passes is checked, and turned into what is sent."""

import io
import math
import pathlib
import struct
import tempfile
import unittest

import numpy as np
import PIL.Image

import ddgan
from ddgan import _arguments
from ddgan import _guide

GOOD = {'count': 1, 'model': None, 'version': None, 'seed': None,
        'first_index': 0, 'output_type': 'pil', 'request_class': 'interactive',
        'guide': None, 'guide_steps': None, 'guide_fit': 'refuse'}


def ask(**changes):
  return _arguments.check_ask(**{**GOOD, **changes})


def png_of(picture):
  file = io.BytesIO()
  picture.save(file, 'PNG')
  return file.getvalue()


def read(png):
  return np.asarray(PIL.Image.open(io.BytesIO(png)))


class AskTest(unittest.TestCase):

  def test_takes_the_ends_of_each_range(self):
    for name, values in (
        ('count', (1, 2**32)), ('version', (1, 2**63 - 1)),
        ('seed', (0, 2**64 - 1)), ('first_index', (0, 2**32 - 1)),
        ('model', ('m', 64 * 'm', 21 * '日'))):
      for value in values:
        self.assertEqual(getattr(ask(**{name: value}), name), value)
    self.assertEqual(ask(count=2, first_index=2**32 - 2).count, 2)

  def test_names_the_argument_the_value_and_the_range(self):
    for changes, words in (
        ({'count': 0}, r'count: 0; must be in \[1, 4294967296\]'),
        ({'count': 2**32 + 1}, 'count: 4294967297; must be'),
        ({'version': 0}, r'version: 0; must be in \[1, 9223372036854775807\]'),
        ({'version': 2**63}, 'version: 9223372036854775808; must be'),
        ({'seed': -1}, r'seed: -1; must be in \[0, 18446744073709551615\]'),
        ({'seed': 2**64}, 'seed: 18446744073709551616; must be'),
        ({'first_index': 2**32}, r'first_index: 4294967296; must be in \[0'),
        ({'first_index': 2**32 - 1, 'count': 2},
         'first_index: 4294967295 with count 2; the last index'),
        ({'model': ''}, 'model: a name of 0 bytes; must have 1 to 64'),
        ({'model': 22 * '日'}, 'model: a name of 66 bytes'),
        ({'model': chr(0xdc80)}, 'model: .*has no UTF-8'),
        ({'output_type': 'tensor'},
         "output_type: 'tensor'; must be one of 'pil', 'np', 'png'"),
        ({'request_class': 'urgent'}, "request_class: 'urgent'; must be one"),
        ({'guide_fit': 'crop'}, "guide_fit: 'crop'; must be one of 'refuse'"),
        ({'guide_steps': 2}, 'guide_steps: needs a guide'),
        ({'guide': np.zeros((2, 2), np.uint8)}, 'guide_steps: must be given'),
        ({'guide': np.zeros((2, 2), np.uint8), 'guide_steps': 0},
         r'guide_steps: 0; must be in \[1, 1999\]')):
      with self.subTest(words), self.assertRaisesRegex(ValueError, words):
        ask(**changes)

  def test_names_the_argument_of_a_wrong_type(self):
    for changes, words in (
        ({'count': 2.0}, 'count: 2.0 is of type float; must be an integer'),
        ({'count': True}, 'count: True is of type bool'),
        ({'count': None}, 'count: None is of type NoneType'),
        ({'seed': '7'}, "seed: '7' is of type str"),
        ({'seed': np.float32(7)}, 'seed: .*float32'),
        ({'model': 3}, 'model: 3 is of type int; must be a str'),
        ({'output_type': None}, 'output_type: None is of type NoneType'),
        ({'guide': 3, 'guide_steps': 1}, 'guide: of type int; must be a PIL')):
      with self.subTest(words), self.assertRaisesRegex(TypeError, words):
        ask(**changes)

  def test_takes_numpys_integers(self):
    checked = ask(count=np.int32(3), seed=np.uint64(2**64 - 1))
    self.assertEqual((checked.count, checked.seed), (3, 2**64 - 1))
    self.assertIs(type(checked.seed), int)

  def test_time_limits(self):
    self.assertEqual(_arguments.seconds('timeout', np.float32(0.5)), 0.5)
    self.assertEqual(_arguments.seconds('timeout', math.inf), math.inf)
    for value in (0, -1, math.nan, -math.inf):
      with self.assertRaisesRegex(ValueError, f'timeout: {value}; must be'):
        _arguments.seconds('timeout', value)
    self.assertEqual(_arguments.seconds('timeout', 10**400), math.inf)
    self.assertEqual(_arguments.seconds('backoff', 0, zero=True), 0)
    for value in ('5', True, None, [1]):
      with self.assertRaisesRegex(TypeError, 'timeout: .* is of type'):
        _arguments.seconds('timeout', value)


class GuideTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    random = np.random.default_rng(1)
    cls.gray = random.integers(0, 256, (5, 7), np.uint8)
    cls.rgb = random.integers(0, 256, (5, 7, 3), np.uint8)

  def test_each_kind_of_guide_becomes_the_same_png(self):
    for pixels in (self.gray, self.rgb):
      picture = PIL.Image.fromarray(pixels)
      png = png_of(picture)
      with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'guide.png')
        path.write_bytes(png)
        # A PNG file goes as it is.
        for guide in (path, str(path), png, bytearray(png), memoryview(png)):
          self.assertEqual(_guide.guide_png(guide), png)
      for guide in (picture, pixels, pixels.astype(np.float64) / 255,
                    np.asfortranarray(pixels), pixels[::-1][::-1]):
        np.testing.assert_array_equal(read(_guide.guide_png(guide)), pixels)
    np.testing.assert_array_equal(
        read(_guide.guide_png(self.gray[:, :, np.newaxis])), self.gray)

  def test_an_image_of_this_package_is_a_guide(self):
    png = png_of(PIL.Image.fromarray(self.gray))
    image = ddgan.Image(model='m', version=1, digest='', seed=1, index=0,
                        steps=4, shape=ddgan.Shape(1, 5, 7), data=png,
                        output_type='pil')
    self.assertEqual(_guide.guide_png(image), png)

  def test_other_files_are_converted(self):
    file = io.BytesIO()
    PIL.Image.fromarray(self.rgb).save(file, 'BMP')
    np.testing.assert_array_equal(read(_guide.guide_png(file.getvalue())),
                                  self.rgb)
    # A photograph that lies on its side is put upright.
    file = io.BytesIO()
    turned = PIL.Image.new('RGB', (16, 8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(file, 'JPEG', exif=exif)
    self.assertEqual(read(_guide.guide_png(file.getvalue())).shape, (16, 8, 3))

  def test_modes_that_the_server_does_not_read_are_converted(self):
    for mode, wanted in (('1', 'L'), ('P', 'RGBA'), ('LA', 'RGBA'),
                         ('CMYK', 'RGB'), ('YCbCr', 'RGB'), ('HSV', 'RGB'),
                         ('L', 'L'), ('RGB', 'RGB'), ('RGBA', 'RGBA')):
      png = _guide.guide_png(PIL.Image.new(mode, (4, 4)))
      self.assertEqual(PIL.Image.open(io.BytesIO(png)).mode, wanted, mode)
    png = _guide.guide_png(PIL.Image.new('I;16', (4, 4)))
    self.assertEqual(png[24], 16)  # Bits of a channel.
    for mode in ('I', 'F'):
      with self.assertRaisesRegex(ValueError, f"guide: .* mode '{mode}'"):
        _guide.guide_png(PIL.Image.new(mode, (4, 4)))

  def test_names_what_is_wrong_with_a_guide(self):
    noise = np.random.default_rng(2).integers(0, 256, (1024, 1024), np.uint8)
    # Of a size that its pixels do not have: it is not read as far as those.
    file = io.BytesIO()
    PIL.Image.new('RGB', (1, 1)).save(file, 'BMP')
    oversized = bytearray(file.getvalue())
    oversized[18:22] = struct.pack('<I', 2049)
    eps = io.BytesIO()
    PIL.Image.new('RGB', (4, 4)).save(eps, 'EPS')
    header = b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes([0, 0, 8, 1, 0, 0, 0, 1])
    for guide, words in (
        (np.zeros((3,), np.uint8), r'guide: an array of shape \[3\]'),
        (np.zeros((3, 3, 2), np.uint8), r'guide: an array of shape \[3, 3, 2'),
        (np.zeros((0, 3), np.uint8), 'guide: an array of shape'),
        (np.full((3, 3), 1.01), r'guide: .* outside \[0, 1\]'),
        (np.full((3, 3), np.nan), r'guide: .* outside \[0, 1\]'),
        (np.zeros((3, 2049), np.uint8), r'guide: 2049x3 .* in \[1, 2048\]'),
        (header, r'guide: 2049x1 .* in \[1, 2048\]'),
        (noise, r'guide: a PNG file of \d+ bytes; must have at most 1048576'),
        (oversized, r'guide: 2049x1 .* in \[1, 2048\]'),
        (eps.getvalue(), 'guide: no picture in a PNG, BMP'),
        (b'GIF99', 'guide: no picture in a PNG, BMP'),
        (b'', 'guide: no picture in a PNG, BMP')):
      with self.subTest(words), self.assertRaisesRegex(ValueError, words):
        _guide.guide_png(guide)
    for array in (np.zeros((3, 3), np.int64), np.zeros((3, 3), bool)):
      with self.assertRaisesRegex(TypeError, 'guide: an array of'):
        _guide.guide_png(array)
    with self.assertRaises(FileNotFoundError):
      _guide.guide_png('/no/such/guide.png')


if __name__ == '__main__':
  unittest.main(verbosity=2)
