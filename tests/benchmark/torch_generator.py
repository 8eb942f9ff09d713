"""A generator's network once more, as a PyTorch module of the usual layers.

For compare_frameworks.py. It reads the configuration and the weights of a
version, as published. Only what CIFAR-10's configuration and the bundled model
ask for: output "none", input "residual".
"""

import json
import math
import struct

import numpy
import torch
from torch import nn
from torch.nn import functional


def read_weights(path):
  """name -> float32 tensor of a .safetensors file."""
  with open(path, 'rb') as file:
    header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
    data = file.read()
  weights = {}
  for name, entry in header.items():
    if name == '__metadata__':
      continue
    first, last = entry['data_offsets']
    values = numpy.frombuffer(data[first:last], '<f4').copy()
    weights[name] = torch.from_numpy(values).reshape(entry['shape'])
  return weights


def write_weights(path, weights):
  header, data = {}, b''
  for name, value in weights.items():
    raw = value.detach().contiguous().numpy().astype('<f4').tobytes()
    header[name] = {'dtype': 'F32', 'shape': list(value.shape),
                    'data_offsets': [len(data), len(data) + len(raw)]}
    data += raw
  text = json.dumps(header).encode()
  text += b' ' * (-len(text) % 8)
  with open(path, 'wb') as file:
    file.write(struct.pack('<Q', len(text)) + text + data)


def groups_of(channels):
  return min(channels // 4, 32)


class Fir(nn.Module):
  """[1, 3, 3, 1] in both directions, each channel by itself."""

  def __init__(self, kind, channels):
    super().__init__()
    self.kind, self.channels = kind, channels
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    if kind == 'up':
      taps = 2 * taps
    weight = torch.outer(taps, taps).expand(channels, 1, 4, 4).contiguous()
    self.register_buffer('weight', weight, persistent=False)

  def forward(self, x):
    if self.kind == 'up':
      return functional.conv_transpose2d(x, self.weight, stride=2, padding=1,
                                         groups=self.channels)
    if self.kind == 'down':
      return functional.conv2d(x, self.weight, stride=2, padding=1,
                               groups=self.channels)
    return functional.conv2d(x, self.weight, padding=2, groups=self.channels)


class AdaptiveNorm(nn.Module):

  def __init__(self, channels, style_width):
    super().__init__()
    self.groups = groups_of(channels)
    self.style = nn.Linear(style_width, 2 * channels)

  def forward(self, x, style):
    scale, shift = self.style(style)[:, :, None, None].chunk(2, 1)
    return scale * functional.group_norm(x, self.groups, eps=1e-6) + shift


class ResBlock(nn.Module):

  def __init__(self, kind, before, after, config):
    super().__init__()
    self.GroupNorm_0 = AdaptiveNorm(before, config['z_emb_dim'])
    self.Conv_0 = nn.Conv2d(before, after, 3, padding=1)
    self.Dense_0 = nn.Linear(4 * config['num_channels_dae'], after)
    self.GroupNorm_1 = AdaptiveNorm(after, config['z_emb_dim'])
    self.Conv_1 = nn.Conv2d(after, after, 3, padding=1)
    self.resample = Fir(kind, before) if kind else None
    if kind or before != after:
      self.Conv_2 = nn.Conv2d(before, after, 1)
    else:
      self.Conv_2 = None

  def forward(self, x, time, style):
    h = functional.silu(self.GroupNorm_0(x, style))
    if self.resample is not None:
      h, x = self.resample(h), self.resample(x)
    h = self.Conv_0(h) + self.Dense_0(time)[:, :, None, None]
    h = self.Conv_1(functional.silu(self.GroupNorm_1(h, style)))
    if self.Conv_2 is not None:
      x = self.Conv_2(x)
    return (x + h) * math.sqrt(0.5)


class Nin(nn.Module):

  def __init__(self, channels):
    super().__init__()
    self.W = nn.Parameter(torch.randn(channels, channels) / channels**0.5)
    self.b = nn.Parameter(torch.zeros(channels))

  def forward(self, rows):
    return rows @ self.W + self.b


class Attention(nn.Module):

  def __init__(self, channels):
    super().__init__()
    self.GroupNorm_0 = nn.GroupNorm(groups_of(channels), channels, eps=1e-6)
    self.NIN_0, self.NIN_1 = Nin(channels), Nin(channels)
    self.NIN_2, self.NIN_3 = Nin(channels), Nin(channels)

  def forward(self, x):
    rows = self.GroupNorm_0(x).flatten(2).transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(
        self.NIN_0(rows), self.NIN_1(rows), self.NIN_2(rows))
    image = self.NIN_3(mixed).transpose(1, 2).reshape(x.shape)
    return (x + image) * math.sqrt(0.5)


class ConvDown(nn.Module):

  def __init__(self, before, after):
    super().__init__()
    self.smooth = Fir('smooth', before)
    self.Conv2d_0 = nn.Conv2d(before, after, 3, stride=2)

  def forward(self, x):
    return self.Conv2d_0(self.smooth(x))


class Generator(nn.Module):
  """forward(x [B, C, S, S], t [B] float32, z [B, nz]) -> x0'."""

  def __init__(self, config):
    super().__init__()
    self.config = config
    width = config['num_channels_dae']
    widths = [width * factor for factor in config['ch_mult']]
    sizes = [config['image_size'] >> i for i in range(len(widths))]
    blocks = config['num_res_blocks']
    modules = [nn.Linear(width, 4 * width), nn.Linear(4 * width, 4 * width),
               nn.Conv2d(config['num_channels'], width, 3, padding=1)]
    add = modules.append
    skips, now, pyramid = [width], width, config['num_channels']
    for level, (after, size) in enumerate(zip(widths, sizes)):
      for _ in range(blocks):
        add(ResBlock(None, now, after, config))
        if size in config['attn_resolutions']:
          add(Attention(after))
        now = after
        skips.append(now)
      if level + 1 < len(widths):
        add(ResBlock('down', after, after, config))
        add(ConvDown(pyramid, after))
        pyramid = after
        skips.append(after)
    add(ResBlock(None, now, now, config))
    add(Attention(now))
    add(ResBlock(None, now, now, config))
    for level in reversed(range(len(widths))):
      for _ in range(blocks + 1):
        add(ResBlock(None, now + skips.pop(), widths[level], config))
        now = widths[level]
      if sizes[level] in config['attn_resolutions']:
        add(Attention(now))
      if level > 0:
        add(ResBlock('up', now, now, config))
    add(nn.GroupNorm(groups_of(now), now, eps=1e-6))
    add(nn.Conv2d(now, config['num_channels'], 3, padding=1))
    self.all_modules = nn.ModuleList(modules)
    # Entries without weights hold the places of the published numbers.
    mapping, before = [nn.Identity()], config['nz']
    for _ in range(config['n_mlp'] + 1):
      mapping += [nn.Linear(before, config['z_emb_dim']), nn.SiLU()]
      before = config['z_emb_dim']
    self.z_transform = nn.Sequential(*mapping)
    half = width // 2
    frequencies = torch.exp(
        torch.arange(half) * (-math.log(10000.0) / (half - 1)))
    self.register_buffer('frequencies', frequencies, persistent=False)

  def forward(self, x, t, z):
    style = self.z_transform(
        z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
    angles = t[:, None] * self.frequencies
    time = torch.cat([angles.sin(), angles.cos()], 1)
    modules = iter(self.all_modules)
    time = next(modules)(time)
    time = functional.silu(next(modules)(functional.silu(time)))
    config, levels = self.config, len(self.config['ch_mult'])
    sizes = [config['image_size'] >> i for i in range(levels)]
    h = next(modules)(x)
    skips, pyramid = [h], x
    for level in range(levels):
      for _ in range(config['num_res_blocks']):
        h = next(modules)(h, time, style)
        if sizes[level] in config['attn_resolutions']:
          h = next(modules)(h)
        skips.append(h)
      if level + 1 < levels:
        h = next(modules)(h, time, style)
        h = pyramid = (next(modules)(pyramid) + h) * math.sqrt(0.5)
        skips.append(h)
    h = next(modules)(h, time, style)
    h = next(modules)(h)
    h = next(modules)(h, time, style)
    for level in reversed(range(levels)):
      for _ in range(config['num_res_blocks'] + 1):
        h = next(modules)(torch.cat([h, skips.pop()], 1), time, style)
      if sizes[level] in config['attn_resolutions']:
        h = next(modules)(h)
      if level > 0:
        h = next(modules)(h, time, style)
    h = functional.silu(next(modules)(h))
    return torch.tanh(next(modules)(h))
