"""Makes the pictures of client/playground/README.md.

The model root has two versions of mnist, so that two can be compared:
  python playground_screenshots.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan --model_root=DIR \
      --out=client/playground
"""

import argparse
import io
import os
import subprocess
import time

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains

from playground_browser import open_browser
from playground_browser import PlaygroundPage
from playground_browser import PlaygroundProcess
from playground_browser import resize
from server_process import ServerProcess

SEVEN = [[(.26, .28), (.5, .24), (.74, .27)],
         [(.74, .27), (.66, .48), (.52, .8)],
         [(.42, .54), (.72, .52)]]


def load_all(client, server, model_root):
  """Both versions are loaded afterwards, and the newest is live."""
  versions = sorted(map(int, os.listdir(os.path.join(model_root, 'mnist'))))
  for order in (['pin', 'mnist', str(versions[0])], ['unpin', 'mnist']):
    subprocess.run([client, 'models', *order, f'--server={server}'], check=True)


class Camera:

  def __init__(self, url, folder, dark=False):
    self.folder = folder
    self.browser = open_browser(1280, 800, dark)
    self.page = PlaygroundPage(self.browser, url)
    self.page.await_contact('found')

  def take(self, name, width, height):
    """From the page's top, without the focus' ring and the pointer."""
    ActionChains(self.browser).move_to_element_with_offset(
        self.page.find('.bar'), 0, 0).perform()
    self.page.script('document.activeElement?.blur(); scrollTo(0, 0)')
    resize(self.browser, width, height)
    time.sleep(0.5)  # Whatever fades has faded.
    picture = Image.open(io.BytesIO(self.browser.get_screenshot_as_png()))
    picture.convert('RGB').save(os.path.join(self.folder, name), optimize=True)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  for name in ('server', 'client', 'model_root', 'out'):
    parser.add_argument(f'--{name}', required=True)
  options = parser.parse_args()
  with ServerProcess(options.server, options.model_root) as server:
    load_all(options.client, server.grpc_address, options.model_root)
    program = PlaygroundProcess(options.client, server.grpc_address)
    light = Camera(program.url, options.out)
    page = light.page
    page.choose('strokes')
    page.type_into('#seed', '7')
    for stroke in SEVEN:
      page.draw(stroke)
    time.sleep(2)  # The pictures of the last stroke.
    page.await_images(4)
    light.take('strokes.png', 1280, 950)
    page.choose('versions')
    page.type_into('#seed', '7')
    page.type_into('#count', '8')
    page.make()
    page.await_images(16)
    light.take('versions.png', 1280, 840)
    light.browser.quit()
    dark = Camera(program.url, options.out, dark=True)
    page = dark.page
    page.type_into('#seed', '7')
    page.type_into('#count', '16')
    page.make()
    page.await_images(16)
    dark.take('noise.png', 1280, 840)
    page.find_all('.tile')[5].click()
    page.await_visible('#details')
    dark.take('details.png', 400, 860)
    dark.browser.quit()
    program.close()


if __name__ == '__main__':
  main()
