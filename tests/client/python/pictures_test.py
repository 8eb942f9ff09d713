"""Images, and those of one request, as a program or a notebook uses them."""

import builtins
import copy
import io
import pathlib
import pickle
import resource
import tempfile
import unittest
from unittest import mock

import grpc
import numpy as np
import PIL.Image

import ddgan
from ddgan import _progress

FLOATS = np.float32([[[-1.5, -1, -0.004], [0, 0.5, 1.2]]])  # [1, 2, 3]
LEVELS = np.uint8([[[0], [0], [127]], [[128], [191], [255]]])  # [2, 3, 1]


def image(output_type='np', data=None, index=5, **changes):
  fields = {'model': 'mnist', 'version': 3, 'digest': 64 * 'a', 'seed': 7,
            'index': index, 'steps': 4, 'shape': ddgan.Shape(1, 2, 3),
            'data': FLOATS.tobytes() if data is None else data,
            'output_type': output_type}
  return ddgan.Image(**{**fields, **changes})


def png_image(**changes):
  file = io.BytesIO()
  PIL.Image.fromarray(LEVELS[:, :, 0]).save(file, 'PNG')
  return image('pil', file.getvalue(), **changes)


def generation(images):
  return ddgan.Generation(images, 4, 4, ddgan.Timings(0, 1, 0))


class ImageTest(unittest.TestCase):

  def test_floats_become_the_pixels_of_the_servers_png(self):
    for one in (image(), png_image()):
      self.assertEqual(one.array.dtype, np.uint8)
      np.testing.assert_array_equal(one.array, LEVELS)
      np.testing.assert_array_equal(np.asarray(one), LEVELS)
      np.testing.assert_array_equal(np.asarray(one, np.float32), LEVELS)
      self.assertEqual((one.image.mode, one.image.size), ('L', (3, 2)))
      np.testing.assert_array_equal(np.asarray(one.image), LEVELS[:, :, 0])
    color = image(data=np.zeros((3, 2, 2), '<f4').tobytes(),
                  shape=ddgan.Shape(3, 2, 2))
    self.assertEqual((color.image.mode, color.array.shape), ('RGB', (2, 2, 3)))

  def test_floats_come_only_if_they_were_asked_for(self):
    np.testing.assert_array_equal(image().float32, FLOATS)
    with self.assertRaisesRegex(ValueError, "output_type='np'"):
      png_image().float32

  def test_a_png_is_the_servers_or_says_the_same(self):
    self.assertEqual(png_image().png, png_image().data)
    self.assertEqual(png_image()._repr_png_(), png_image().data)
    made = PIL.Image.open(io.BytesIO(image().png))
    np.testing.assert_array_equal(np.asarray(made), LEVELS[:, :, 0])
    self.assertEqual(made.text, {
        'Software': 'ddgan-serve', 'ddgan:model': 'mnist',
        'ddgan:version': '3', 'ddgan:digest': 64 * 'a', 'ddgan:seed': '7',
        'ddgan:index': '5', 'ddgan:steps': '4'})
    preview = ddgan.Preview(**{**vars(image()), 'steps_left': 2})
    self.assertEqual(PIL.Image.open(io.BytesIO(preview.png)).text,
                     {**made.text, 'ddgan:step': '2'})

  def test_no_part_of_a_file_is_left(self):
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'x.png'
      limits = resource.getrlimit(resource.RLIMIT_FSIZE)
      resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
      try:
        with self.assertRaises(OSError):
          image('pil', 10_000 * b'a').save(path)
      finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
      self.assertFalse(path.exists())
      png_image().save(path)
      self.assertEqual(path.read_bytes(), png_image().png)

  def test_what_is_done_to_one_array_changes_no_other(self):
    for one in (image(), png_image()):
      one.array[:] = 9
      one.image.putpixel((0, 0), 9)
      np.testing.assert_array_equal(one.array, LEVELS)
    floats = image().float32
    floats[:] = 0  # Not read-only either.

  def test_is_a_value(self):
    self.assertEqual(image(), image())
    self.assertNotEqual(image(), image(index=6))
    self.assertEqual(len({image(), image(), image(index=6)}), 2)
    for twin in (pickle.loads(pickle.dumps(image())), copy.deepcopy(image())):
      self.assertEqual(twin, image())
    with self.assertRaises(AttributeError):
      image().seed = 8

  def test_says_what_it_is(self):
    self.assertEqual(repr(image()),
                     '<Image 5 of seed 7: 3x2 gray, mnist 3>')
    self.assertEqual(repr(generation([image(), image()])),
                     '<2 images of seed 7 from index 5, mnist 3>')

  def test_saves_its_png(self):
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder, 'x.png')
      png_image().save(path)
      self.assertEqual(path.read_bytes(), png_image().png)


class GenerationTest(unittest.TestCase):

  def test_is_a_sequence(self):
    images = generation([image(index=i) for i in range(3)])
    self.assertEqual(len(images), 3)
    self.assertEqual(images[-1].index, 2)
    self.assertEqual([one.index for one in images[1:]], [1, 2])
    self.assertEqual([one.index for one in images], [0, 1, 2])
    self.assertIn(image(index=1), images)

  def test_its_pictures_are_as_those_of_diffusers(self):
    floats = generation([image(), image()])
    self.assertEqual((floats.images.shape, floats.images.dtype),
                     ((2, 2, 3, 1), np.float32))
    np.testing.assert_allclose(
        floats.images[0, :, :, 0], [[0, 0, 0.498], [0.5, 0.75, 1]])
    np.testing.assert_array_equal(floats.float32, np.stack(2 * [FLOATS]))
    pictures = generation([png_image(), png_image()])
    self.assertEqual([one.size for one in pictures.images], 2 * [(3, 2)])
    self.assertEqual(pictures.array.shape, (2, 2, 3, 1))
    files = generation([image('png', b'a'), image('png', b'b')])
    self.assertEqual(files.images, [b'a', b'b'])

  def test_its_grid_is_about_square(self):
    for count, size in ((1, (7, 6)), (2, (12, 6)), (5, (17, 10)),
                        (64, (42, 34))):
      grid = generation(count * [image()]).grid()
      self.assertEqual(grid.size, size)
    np.testing.assert_array_equal(
        np.asarray(grid.crop((2, 2, 5, 4))), LEVELS[:, :, 0])
    self.assertEqual(grid.getpixel((0, 0)), 128)
    self.assertEqual(generation(3 * [image()]).grid(columns=3).size, (17, 6))
    large = generation([image()]).grid(scale=3)
    self.assertEqual(large.size, (13, 10))
    self.assertEqual(large.getpixel((4, 2)), 0)
    for arguments in ({'columns': 0}, {'scale': 0}, {'scale': 65}):
      name, = arguments
      with self.assertRaisesRegex(ValueError, f'{name}: '):
        generation([image()]).grid(**arguments)
    for arguments in ({'columns': 2.0}, {'scale': '3'}):
      name, = arguments
      with self.assertRaisesRegex(TypeError, f'{name}: .*must be an integer'):
        generation([image()]).grid(**arguments)

  def test_a_notebook_shows_the_grid(self):
    shown = PIL.Image.open(io.BytesIO(generation(5 * [image()])._repr_png_()))
    self.assertEqual(shown.size, (17, 10))

  def test_saves_a_file_for_each_image(self):
    with tempfile.TemporaryDirectory() as folder:
      paths = generation([png_image(index=8), png_image(index=9)]).save(
          pathlib.Path(folder, 'new', 'folder'))
      self.assertEqual([path.name for path in paths], ['8.png', '9.png'])
      self.assertEqual(paths[1].read_bytes(), png_image().png)


class ErrorTest(unittest.TestCase):

  def test_can_be_sent_to_another_process(self):
    error = ddgan.Error(grpc.StatusCode.ABORTED, 'why', 'host:1', 0.5)
    twin = pickle.loads(pickle.dumps(error))
    self.assertEqual(vars(twin), vars(error))
    self.assertEqual(str(twin), str(error))

  def test_advises_what_can_be_done(self):
    error = ddgan.Error(grpc.StatusCode.UNAVAILABLE, 'refused', 'host:1')
    self.assertEqual(
        str(error), 'UNAVAILABLE: refused\n  Is a ddgan-server running at '
        'host:1 and ready? If it wants TLS, say tls=True.')
    self.assertEqual(str(ddgan.Error(grpc.StatusCode.CANCELLED, 'left')),
                     'CANCELLED: left')


class ProgressTest(unittest.TestCase):

  def test_shows_a_bar(self):
    with mock.patch('sys.stderr', io.StringIO()) as shown:
      with _progress.reporting(True, 3) as report:
        for done in (0, 1, 2, 0, 3):
          report(done)
    self.assertIn('3/3', shown.getvalue())
    self.assertIn('100%', shown.getvalue())

  def test_names_what_is_missing_for_a_bar(self):
    real = builtins.__import__

    def without_tqdm(name, *arguments, **named):
      if name.startswith('tqdm'):
        raise ImportError(name)
      return real(name, *arguments, **named)

    with mock.patch.object(_progress.importlib, 'import_module', without_tqdm):
      with self.assertRaisesRegex(ImportError, r"ddgan-client\[progress\]"):
        with _progress.reporting(True, 3):
          pass


if __name__ == '__main__':
  unittest.main(verbosity=2)
