"""Everything in deploy/kubernetes renders by kubectl, without a warning, and is
what the API of Kubernetes and of the Prometheus operator takes.

Run by CTest, or by hand:
  ~/.cache/ddgan/linters/bin/python tests/deploy/kubernetes_schema_test.py
"""

import copy
import pathlib
import sys
import unittest

import kubernetes_validate
import manifests
import operator_schema

KUBECTL = pathlib.Path(sys.prefix) / 'bin' / 'kubectl'

# The oldest version in which every field that is used is stable, and the newest
# that the validator knows.
VERSIONS = ('1.31', '1.37')


class KubernetesSchemaTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.rendered = manifests.rendered_documents(KUBECTL)

  def test_every_kustomization_is_rendered(self):
    """A folder that nothing names would be checked by nobody."""
    known = set(manifests.SERVERS + manifests.TRAINERS + manifests.OTHERS)
    known |= {'base', 'trainer/base', 'components/autoscaling'}
    known |= {f'components/{c}' for cs in manifests.COMPONENTS for c in cs}
    found = {str(path.parent.relative_to(manifests.KUBERNETES))
             for path in manifests.KUBERNETES.rglob('kustomization.yaml')}
    self.assertEqual(found, known)

  def test_kubernetes_takes_it(self):
    for name, documents in self.rendered.items():
      for document in documents:
        if document['apiVersion'].startswith('monitoring.coreos.com/'):
          continue
        for version in VERSIONS:
          with self.subTest(name, kind=document['kind'], version=version):
            kubernetes_validate.validate(document, version, strict=True)

  def test_the_prometheus_operator_takes_it(self):
    kinds = operator_schema.load()
    checked = set()
    documents = sum(self.rendered.values(), [])
    documents += manifests.documents(manifests.prometheus_rules())
    for document in documents:
      if document['apiVersion'].startswith('monitoring.coreos.com/'):
        with self.subTest(kind=document['kind']):
          kinds[document['kind']].model_validate(document)
        checked.add(document['kind'])
    self.assertEqual(checked, {'ServiceMonitor', 'PodMonitor', 'PrometheusRule'})

  def check_readme_overlay(self, workload, image, *overlay):
    """By kind; each is what Kubernetes takes, with one's own image and storage."""
    by_kind = {}
    for document in manifests.kustomize_readme_overlay(KUBECTL, *overlay):
      kubernetes_validate.validate(document, VERSIONS[0], strict=True)
      by_kind.setdefault(document['kind'], []).append(document)
    (pod,) = map(manifests.pod_spec, by_kind[workload])
    self.assertRegex(pod['containers'][0]['image'], f'^REGISTRY/{image}@sha256:0{{64}}$')
    for claim in by_kind['PersistentVolumeClaim']:
      self.assertEqual(claim['spec']['storageClassName'], 'YOUR_CLASS')
    return by_kind

  def test_the_readmes_overlays_render_with_ones_own_images_and_storage(self):
    self.check_readme_overlay('Deployment', 'ddgan-server', 'site')
    for trainer in manifests.TRAINERS:
      with self.subTest(trainer):
        by_kind = self.check_readme_overlay('Job', 'ddgan-trainer', 'site-trainer', trainer)
        # What the README applies first, by this label.
        labelled = [d for ds in by_kind.values() for d in ds
                    if d['metadata'].get('labels', {}).get('ddgan-volume') == 'true']
        self.assertEqual(labelled, by_kind['PersistentVolumeClaim'])

  def test_a_mistake_is_noticed(self):
    """So that silence above means something."""
    rendered = copy.deepcopy(self.rendered)
    deployment = next(d for d in rendered['overlays/cpu'] if d['kind'] == 'Deployment')
    deployment['spec']['template']['spec']['containers'][0]['probe'] = {}
    with self.assertRaises(kubernetes_validate.ValidationError):
      kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)
    monitor = next(d for d in rendered['monitoring'] if d['kind'] == 'ServiceMonitor')
    monitor['spec']['endpoints'][0]['intervall'] = '15s'
    with self.assertRaises(ValueError):
      operator_schema.load()['ServiceMonitor'].model_validate(monitor)


if __name__ == '__main__':
  unittest.main(verbosity=2)
