"""The Prometheus operator's objects as pydantic models that take no unknown key.

From the classes that the package cloudcoil-models-prometheus-operator generated
of the operator's custom resource definitions. The package itself takes two
minutes to import, because of the builders in each class, and lets unknown keys
pass; so its source is read, and the few classes that are needed are built of
the fields alone.
"""

import ast
import functools
import pathlib
import sysconfig
import typing

import pydantic

_SOURCE = pathlib.Path(sysconfig.get_path('purelib'),
                       'cloudcoil/models/prometheus_operator/v1.py')
_KINDS = ('ServiceMonitor', 'PodMonitor', 'PrometheusRule')


class _Strict(pydantic.BaseModel):
  model_config = pydantic.ConfigDict(extra='forbid', validate_by_name=False,
                                     validate_by_alias=True)


@functools.cache
def load():
  """{kind: model}."""
  classes = {node.name: node for node in ast.parse(_SOURCE.read_text()).body
             if isinstance(node, ast.ClassDef)}
  wanted, todo = {}, list(_KINDS)
  while todo:
    name = todo.pop()
    if name in wanted or name not in classes:
      continue
    node = classes[name]
    fields = [f for f in node.body if isinstance(f, ast.AnnAssign)]
    # A RootModel stays one: it stands for a plain value.
    root = isinstance(node.bases[0], ast.Subscript)
    wanted[name] = ast.ClassDef(
        name=name, bases=node.bases if root else [ast.Name('_Strict', ast.Load())],
        keywords=[], decorator_list=[], body=fields or [ast.Pass()])
    for part in fields + node.bases:
      todo += [n.id for n in ast.walk(part) if isinstance(n, ast.Name)]
      todo += [n.value for n in ast.walk(part)
               if isinstance(n, ast.Constant) and isinstance(n.value, str)]
  module = ast.Module(
      body=ast.parse('from __future__ import annotations').body
      + list(wanted.values()), type_ignores=[])
  names = {**vars(typing), '_Strict': _Strict, 'Field': pydantic.Field,
           'RootModel': pydantic.RootModel, '__name__': __name__,
           # Checked by Kubernetes' own rules, not the operator's.
           'apimachinery': _AnyAttribute()}
  exec(compile(ast.fix_missing_locations(module), str(_SOURCE), 'exec'), names)
  for name in wanted:
    names[name].model_rebuild(_types_namespace=names)
  return {kind: names[kind] for kind in _KINDS}


class _AnyAttribute:

  def __getattr__(self, name):
    return typing.Any
