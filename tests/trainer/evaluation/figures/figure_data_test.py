"""Files that are not what ddgan-evaluate writes: each is refused by name.

Run by CTest, or by hand:
  PYTHONPATH=trainer/evaluation/figures python figure_data_test.py
"""

import io
import os
import unittest

import numpy as np

import figure_data
import figure_files


class JsonTest(figure_files.FigureTest):

  def read(self, content):
    path = self.folder / 'trilemma.json'
    path.write_bytes(content)
    return figure_data.read_json(path)

  def test_what_is_no_json_object_is_one_sentence(self):
    for content in (b'', b'{', b'\xff\xfe', b'[' * 100_000, b'{"a": 1}}',
                    b'{"a": ' + b'9' * 5000 + b'}'):
      self.assertIn('is not JSON', self.refused(self.read, content))
    for content in (b'[]', b'null', b'3', b'"text"'):
      self.assertIn('trilemma.json must be a JSON object',
                    self.refused(self.read, content))

  def test_a_file_that_is_too_large_is_not_read(self):
    content = b' ' * (figure_data.MOST_JSON_BYTES + 1)
    self.assertIn('more than', self.refused(self.read, content))

  def test_what_is_no_file_is_one_sentence(self):
    self.assertIn('No such file', self.refused(
        figure_data.read_json, self.folder / 'none.json'))
    self.assertIn('Is a directory', self.refused(
        figure_data.read_json, self.folder))
    pipe = self.folder / 'pipe.json'
    os.mkfifo(pipe)
    self.assertIn('is not a file', self.refused(figure_data.read_json, pipe))


class FieldsTest(figure_files.FigureTest):

  def fields(self, value):
    return figure_data.Fields({'a': value}, 'x.json: rows[2].')

  def test_a_message_names_the_field_and_what_was_found(self):
    self.assertEqual(
        self.refused(self.fields('many').number, 'a', 0, 1),
        'x.json: rows[2].a is "many", wanted is a number of 0 .. 1')
    self.assertEqual(
        self.refused(self.fields(0).integer, 'b', 1, 9),
        'x.json: rows[2].b is missing, wanted is an integer of 1 .. 9')

  def test_a_long_value_is_cut_in_the_message(self):
    self.assertLess(len(self.refused(self.fields('x' * 100_000).boolean, 'a')),
                    200)

  def test_numbers(self):
    for value in (True, None, '1', [], float('nan'), float('inf'), -0.1, 1.1,
                  10**400):
      self.refused(self.fields(value).number, 'a', 0, 1)
    for value in (0, 1, 0.5):
      self.assertEqual(self.fields(value).number('a', 0, 1), value)

  def test_integers(self):
    for value in (True, None, '1', 1.0, 0, 10, 10**400):
      self.refused(self.fields(value).integer, 'a', 1, 9)
      self.refused(self.fields([2, value]).integers, 'a', 1, 9, 5)
    for value in ([], [1] * 6, 3, None):
      self.refused(self.fields(value).integers, 'a', 1, 9, 5)
    self.assertEqual(self.fields(9).integer('a', 1, 9), 9)
    self.assertEqual(self.fields([1, 9]).integers('a', 1, 9, 5), [1, 9])

  def test_texts(self):
    for value in (None, 3, '', 'x' * 21, 'two\nlines', 'bell\a', 'm\u00fcller'):
      self.refused(self.fields(value).text, 'a', 20)
    self.assertEqual(self.fields('x' * 20).text('a', 20), 'x' * 20)

  def test_objects(self):
    for value in (None, {}, [], [{}] * 4, [3]):
      self.refused(self.fields(value).objects, 'a', 3)
    self.assertEqual(len(self.fields([{}] * 3).objects('a', 3)), 3)
    self.refused(self.fields([]).fields, 'a')


class FigureFolderTest(figure_files.FigureTest):

  def setUp(self):
    super().setUp()
    self.data = figure_files.write_folder(
        self.folder / 'data', 'grid',
        {'samples': figure_files.pictures(3, 8, 4, 1)}, columns=2)
    self.json = self.data / 'figure.json'

  def read(self, dimensions=4):
    return figure_data.FigureFolder(self.data, 'grid').pictures(
        'samples', dimensions)

  def write_array(self, array, **how):
    np.save(self.data / 'samples.npy', array, **how)

  def test_reads_what_was_written(self):
    np.testing.assert_array_equal(self.read(),
                                  figure_files.pictures(3, 8, 4, 1))

  def test_a_folder_of_another_figure_is_one_sentence(self):
    self.assertIn('kind is "grid", wanted is strip', self.refused(
        figure_data.FigureFolder, self.data, 'strip'))

  def test_a_file_outside_the_folder_is_one_sentence(self):
    for name in ('../samples.npy', '/etc/passwd', '.', '..', 'a/b.npy', '',
                 '.hidden', 'x' * 101, 7, None, 'sam\u0000ples'):
      figure_files.change(self.json, 'files', 'samples', to={
          'file': name, 'dtype': 'uint8', 'shape': [3, 8, 4, 1]})
      self.assertIn('files.samples.file', self.refused(self.read))

  def test_a_shape_out_of_range_is_one_sentence(self):
    for shape in ([3, 8, 4], [3, 8, 4, 1, 1], [0, 8, 4, 1], [1025, 8, 4, 1],
                  [3, 1025, 4, 1], [3, 8, 1025, 1], [3, 8, 4, 2],
                  [1024, 1024, 1024, 3], [-3, 8, 4, 1], 'all', [3, 8, 4, 1.0],
                  [10**30, 8, 4, 1]):
      figure_files.change(self.json, 'files', 'samples', 'shape', to=shape)
      self.assertIn('files.samples.shape', self.refused(self.read))

  def test_numbers_that_are_no_pictures_are_one_sentence(self):
    figure_files.change(self.json, 'files', 'samples', 'dtype', to='float32')
    self.assertIn('files.samples.dtype', self.refused(self.read))

  def test_an_array_that_is_not_as_announced_is_one_sentence(self):
    for array in (np.zeros((3, 4, 8, 1), np.uint8),
                  np.zeros((3, 8, 4, 1), np.int8),
                  np.zeros((3, 8, 4, 1), np.float32),
                  np.zeros((3, 8, 4, 1), np.uint8, order='F'),
                  np.zeros((2, 8, 4, 1), np.uint8)):
      self.write_array(array)
      self.assertIn('samples.npy', self.refused(self.read))

  def test_pickled_objects_are_refused_and_not_run(self):
    self.write_array(np.array([print] * 3, object), allow_pickle=True)
    self.assertIn('samples.npy', self.refused(self.read))

  def test_a_damaged_file_is_one_sentence(self):
    whole = (self.data / 'samples.npy').read_bytes()
    for size in (0, 5, 9, 60, len(whole) - 1):
      (self.data / 'samples.npy').write_bytes(whole[:size])
      self.assertIn('samples.npy', self.refused(self.read))
    (self.data / 'samples.npy').write_bytes(whole + b'\0')
    self.assertIn('samples.npy', self.refused(self.read))
    # Every byte of the header in turn: read, or refused by its name.
    for place in range(128):
      (self.data / 'samples.npy').write_bytes(
          whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1:])
      try:
        self.read()
      except figure_data.FigureError as error:
        self.assertIn('samples.npy', str(error))
        self.assertNotIn('\n', str(error))

  def test_another_format_of_numpy_is_one_sentence(self):
    file = io.BytesIO()
    np.lib.format.write_array(file, figure_files.pictures(3, 8, 4, 1),
                              version=(2, 0))
    (self.data / 'samples.npy').write_bytes(file.getvalue())
    self.assertIn('format is not 1.0', self.refused(self.read))
    np.savez(self.data / 'samples.npz', figure_files.pictures(3, 8, 4, 1))
    os.replace(self.data / 'samples.npz', self.data / 'samples.npy')
    self.assertIn('samples.npy', self.refused(self.read))

  def test_a_file_that_is_missing_is_one_sentence(self):
    os.unlink(self.data / 'samples.npy')
    self.assertIn('No such file', self.refused(self.read))
    figure_files.change(self.json, 'files', 'samples', to=None)
    self.assertIn('files.samples is missing', self.refused(self.read))


if __name__ == '__main__':
  unittest.main()
