"""What deploy/ says hangs together, and every flag in it is one of the programs'.

Run by CTest, or by hand:
  ~/.cache/ddgan/linters/bin/python tests/deploy/manifests_test.py \\
    --server=build/release/server/ddgan-server \\
    --trainer=build/release/trainer/ddgan-train \\
    --promtool=$HOME/.cache/ddgan/prometheus/usr/bin/promtool
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import manifests
import yaml

KUBECTL = pathlib.Path(sys.prefix) / 'bin' / 'kubectl'

# After drain_delay and drain_timeout: replies under way, traces, and the
# watchdog (server/server.cc).
FLUSH_AND_WATCHDOG_S = 2 + 5 + 5

# A flag that names an address, and the name of the port that it becomes.
SERVER_PORTS = {'listen': 'grpc', 'http': 'http', 'admin_listen': 'admin'}


def container(document):
  containers = manifests.pod_spec(document)['containers']
  if len(containers) != 1:
    raise AssertionError(f'{document["metadata"]["name"]}: one container wanted')
  return containers[0]


def labels_of_pods(document):
  labels = dict(document['spec']['template']['metadata']['labels'])
  if document['kind'] == 'Job':  # Kubernetes adds it.
    labels['batch.kubernetes.io/job-name'] = document['metadata']['name']
  return labels


def selects(selector, labels):
  return selector.items() <= labels.items()


class ManifestsTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.rendered = manifests.rendered_documents(KUBECTL)

  def of_kind(self, names, kind):
    for self.looked_at in names:
      documents = self.rendered[self.looked_at]
      yield documents, next(d for d in documents if d['kind'] == kind)

  def servers(self):
    return self.of_kind([n for n in self.rendered if n.startswith('overlays/')],
                        'Deployment')

  def trainers(self):
    return self.of_kind(manifests.TRAINERS, 'Job')

  def workloads(self):
    yield from self.servers()
    yield from self.trainers()

  def _formatMessage(self, msg, standardMsg):
    """A failure names what was looked at last."""
    looked_at = getattr(self, 'looked_at', 'compose.yaml')
    return super()._formatMessage(msg, f'{looked_at}: {standardMsg}')

  def test_flags_are_the_programs_own(self):
    server = manifests.known_flags(options.server)
    trainer = manifests.known_flags(options.trainer)
    self.assertIn('model_root', server)
    self.assertIn('run_dir', trainer)
    for _, workload in self.servers():
      self.assertLessEqual(set(manifests.flags(container(workload)['args'])), server)
    for _, workload in self.trainers():
      self.assertLessEqual(set(manifests.flags(container(workload)['args'])), trainer)

  def test_variables_in_arguments_are_set(self):
    for _, workload in self.workloads():
      names = {e['name'] for e in container(workload).get('env', ())}
      for argument in container(workload)['args']:
        self.assertLessEqual(set(re.findall(r'\$\((\w+)\)', argument)), names)

  def test_server_ports_are_those_of_its_flags(self):
    for documents, workload in self.servers():
      flags = manifests.flags(container(workload)['args'])
      declared = {p['name']: p['containerPort'] for p in container(workload)['ports']}
      self.assertEqual(declared, {name: manifests.port(flags[flag])
                                  for flag, name in SERVER_PORTS.items()})
      for flag in SERVER_PORTS:
        self.assertTrue(flags[flag].startswith('0.0.0.0:'), flag)
      service = next(d for d in documents if d['kind'] == 'Service')
      self.assertEqual(service['spec']['clusterIP'], 'None')
      self.assertEqual({p['name'] for p in service['spec']['ports']}, {'grpc', 'http'})
      for entry in service['spec']['ports']:
        self.assertEqual(entry['port'], declared[entry['targetPort']])

  def test_trainer_ports_are_those_of_its_flags(self):
    for documents, workload in self.trainers():
      flags = manifests.flags(container(workload)['args'])
      declared = {p['name']: p['containerPort'] for p in container(workload)['ports']}
      self.assertEqual(declared['metrics'], manifests.port(flags['metrics_listen']))

  def test_probes_ask_what_the_server_answers(self):
    for _, workload in self.servers():
      server = container(workload)
      admin = manifests.port(manifests.flags(server['args'])['admin_listen'])
      self.assertEqual(server['startupProbe']['tcpSocket'], {'port': 'grpc'})
      self.assertEqual(server['livenessProbe']['httpGet'],
                       {'path': '/livez', 'port': 'http'})
      if '--tls_cert=/tls/tls.crt' in server['args']:
        # kubelet's gRPC probe speaks no TLS.
        self.assertEqual(server['readinessProbe']['httpGet'],
                         {'path': '/readyz', 'port': 'http'})
      else:
        self.assertEqual(server['readinessProbe']['grpc']['port'], admin)
      # /livez may itself take 2 s.
      self.assertGreater(server['livenessProbe']['timeoutSeconds'], 2)
      startup = server['startupProbe']
      loading_s = startup['periodSeconds'] * startup['failureThreshold']
      self.assertGreaterEqual(loading_s, 600)
      self.assertGreater(workload['spec']['progressDeadlineSeconds'], loading_s)

  def test_a_drain_ends_before_the_grace_period(self):
    for _, workload in self.servers():
      flags = manifests.flags(container(workload)['args'])
      drain_s = sum(manifests.seconds(flags[f]) for f in ('drain_delay', 'drain_timeout'))
      grace_s = manifests.pod_spec(workload)['terminationGracePeriodSeconds']
      self.assertGreater(grace_s, drain_s + FLUSH_AND_WATCHDOG_S)
      # Readiness must be seen to be off before the server stops listening.
      probe = container(workload)['readinessProbe']
      self.assertGreater(manifests.seconds(flags['drain_delay']),
                         probe['periodSeconds'] * probe['failureThreshold'])

  def test_pods_are_as_restricted_as_their_namespace_asks(self):
    """The Pod Security Standard "restricted", and more, as each pod says it."""
    namespace = next(d for d in self.rendered['overlays/cpu']
                     if d['kind'] == 'Namespace')
    self.assertEqual(
        namespace['metadata']['labels']['pod-security.kubernetes.io/enforce'],
        'restricted')
    for _, workload in self.workloads():
      pod = manifests.pod_spec(workload)
      self.assertIs(pod['automountServiceAccountToken'], False)
      self.assertFalse({'hostNetwork', 'hostPID', 'hostIPC'} & pod.keys())
      self.assertEqual(pod['securityContext']['runAsNonRoot'], True)
      self.assertEqual(pod['securityContext']['runAsUser'], 10001)
      self.assertEqual(pod['securityContext']['runAsGroup'], 10001)
      self.assertEqual(pod['securityContext']['fsGroup'], 10001)
      self.assertEqual(pod['securityContext']['seccompProfile'],
                       {'type': 'RuntimeDefault'})
      self.assertEqual(container(workload)['securityContext'], {
          'allowPrivilegeEscalation': False, 'readOnlyRootFilesystem': True,
          'runAsNonRoot': True, 'capabilities': {'drop': ['ALL']}})
      # hostPath and most others are not allowed.
      for volume in pod['volumes']:
        self.assertLessEqual(volume.keys() - {'name'},
                             {'persistentVolumeClaim', 'emptyDir', 'secret'})
      resources = container(workload)['resources']
      self.assertLessEqual({'cpu', 'memory', 'ephemeral-storage'},
                           resources['limits'].keys())

  def test_mounts_have_volumes_and_flags_name_mounts(self):
    writable = {'--state_dir', '--out', '--run_dir'}
    read_only = {'--model_root', '--data', '--tls_cert', '--tls_key',
                 '--tls_client_ca', '--token_file'}
    for _, workload in self.workloads():
      pod = manifests.pod_spec(workload)
      mounts = {m['mountPath']: m for m in container(workload)['volumeMounts']}
      self.assertEqual({m['name'] for m in mounts.values()},
                       {v['name'] for v in pod['volumes']})
      for name, value in manifests.flags(container(workload)['args']).items():
        if f'--{name}' not in writable | read_only:
          self.assertFalse(value.startswith('/'), name)
          continue
        path = next(p for p in mounts if value == p or value.startswith(p + '/'))
        self.assertEqual(bool(mounts[path].get('readOnly')),
                         f'--{name}' in read_only, name)

  def test_trainers_publish_where_servers_look(self):
    def claim_behind(workload, path):
      mount = next(m for m in container(workload)['volumeMounts']
                   if m['mountPath'] == path)
      volume = next(v for v in manifests.pod_spec(workload)['volumes']
                    if v['name'] == mount['name'])
      return volume['persistentVolumeClaim']['claimName'], mount['subPath']

    for _, server in self.servers():
      wanted = claim_behind(
          server, manifests.flags(container(server)['args'])['model_root'])
      for _, trainer in self.trainers():
        self.assertEqual(wanted, claim_behind(
            trainer, manifests.flags(container(trainer)['args'])['out']))

  def test_claims_exist(self):
    base = self.rendered['overlays/cpu']
    for documents, workload in self.workloads():
      claims = {d['metadata']['name'] for d in documents + base
                if d['kind'] == 'PersistentVolumeClaim'}
      for volume in manifests.pod_spec(workload)['volumes']:
        claim = volume.get('persistentVolumeClaim', {}).get('claimName')
        if claim is not None:
          self.assertIn(claim, claims)

  def test_selectors_select_the_pods(self):
    for documents, workload in self.workloads():
      labels = labels_of_pods(workload)
      checked = 0
      for document in documents:
        spec = document.get('spec', {})
        if document['kind'] == 'Service':
          selector = spec['selector']
        elif document['kind'] in ('Deployment', 'PodDisruptionBudget'):
          selector = spec['selector']['matchLabels']
        elif document['kind'] == 'NetworkPolicy':
          selector = spec['podSelector'].get('matchLabels', {})
        else:
          continue
        self.assertTrue(selects(selector, labels), document['metadata'])
        checked += 1
      self.assertGreaterEqual(checked, 2)

  def test_everything_is_denied_by_default(self):
    policies = [d for d in self.rendered['overlays/cpu']
                if d['kind'] == 'NetworkPolicy']
    default = next(p for p in policies if p['spec']['podSelector'] == {})
    self.assertEqual(default['spec'], {'podSelector': {},
                                       'policyTypes': ['Ingress', 'Egress']})
    server = next(p for p in policies if p['spec']['podSelector'])
    self.assertNotIn('egress', server['spec'])
    for documents, workload in self.workloads():
      ports = {p['name'] for p in container(workload)['ports']}
      for policy in documents:
        if policy['kind'] != 'NetworkPolicy':
          continue
        for rule in policy['spec'].get('ingress', ()):
          self.assertTrue(rule['from'])
          for entry in rule.get('ports', ()):
            self.assertIn(entry['port'], ports)
            self.assertNotEqual(entry['port'], 'admin')

  def test_ranks_find_the_first_one(self):
    documents = self.rendered['trainer/distributed']
    job = next(d for d in documents if d['kind'] == 'Job')
    service = next(d for d in documents if d['kind'] == 'Service')
    name, size = job['metadata']['name'], job['spec']['completions']
    environment = {e['name']: e['value'] for e in container(job)['env']}
    self.assertEqual(job['spec']['completionMode'], 'Indexed')
    self.assertEqual(job['spec']['parallelism'], size)
    self.assertEqual(environment['WORLD_SIZE'], str(size))
    subdomain = manifests.pod_spec(job)['subdomain']
    self.assertEqual(subdomain, service['metadata']['name'])
    self.assertEqual(environment['MASTER_ADDR'], f'{name}-0.{subdomain}')
    self.assertIs(service['spec']['publishNotReadyAddresses'], True)
    self.assertEqual(environment['MASTER_PORT'], str(service['spec']['ports'][0]['port']))
    self.assertIn(int(environment['MASTER_PORT']),
                  [p['containerPort'] for p in container(job)['ports']])
    budget = next(d for d in documents if d['kind'] == 'PodDisruptionBudget')
    self.assertEqual(budget['spec']['minAvailable'], size)
    # The processes use ports that the system chooses, so all are open among them.
    policy = next(d for d in documents if d['kind'] == 'NetworkPolicy')
    among = [r for r in policy['spec']['ingress'] if 'ports' not in r]
    self.assertEqual([r['from'] for r in among], [[{'podSelector': {
        'matchLabels': {'app.kubernetes.io/name': 'ddgan-train'}}}]])

  def test_prometheus_finds_servers_and_trainers_under_the_alerts_job_names(self):
    monitors = {d['kind']: d for d in self.rendered['monitoring']
                if d['kind'].endswith('Monitor')}
    service = next(d for d in self.rendered['overlays/cpu'] if d['kind'] == 'Service')
    spec = monitors['ServiceMonitor']['spec']
    self.assertTrue(selects(spec['selector']['matchLabels'], service['metadata']['labels']))
    self.assertEqual(service['metadata']['labels'][spec['jobLabel']], 'ddgan-server')
    self.assertIn(spec['endpoints'][0]['port'], [p['name'] for p in service['spec']['ports']])
    for _, job in self.trainers():
      spec = monitors['PodMonitor']['spec']
      labels = labels_of_pods(job)
      self.assertTrue(selects(spec['selector']['matchLabels'], labels))
      self.assertEqual(labels[spec['jobLabel']], 'ddgan-train')
      endpoint, = spec['podMetricsEndpoints']
      self.assertIn(endpoint['port'], [p['name'] for p in container(job)['ports']])
      # The instance is the run, which goes on in another pod: see training_alerts.yaml.
      source, = (r['sourceLabels'] for r in endpoint['relabelings']
                 if r.get('targetLabel') == 'instance')
      self.assertIn(source[0], {
          '__meta_kubernetes_pod_label_' + re.sub(r'\W', '_', name) for name in labels
          if labels[name] == job['metadata']['name']})

  def test_rules_for_the_operator_are_those_of_prometheus(self):
    written = [d['spec'] for d in manifests.documents(manifests.prometheus_rules())]
    files = [yaml.safe_load(p.read_text()) for p in
             sorted((manifests.DEPLOY / 'prometheus').glob('*alerts.yaml'))
             + [manifests.DEPLOY / 'prometheus' / 'recording_rules.yaml']]
    self.assertEqual(written, files)
    # All that Prometheus itself is told to read.
    config = yaml.safe_load((manifests.DEPLOY / 'prometheus' / 'prometheus.yaml').read_text())
    self.assertEqual(len(written), len(config['rule_files']))

  def test_autoscaler_gets_its_metric_from_the_adapter(self):
    autoscaler = next(d for d in self.rendered['overlays/cpu']
                      if d['kind'] == 'HorizontalPodAutoscaler')
    metric = autoscaler['spec']['metrics'][0]['pods']['metric']['name']
    rules = yaml.safe_load(next(
        d for d in self.rendered['prometheus_adapter']
        if d['kind'] == 'ConfigMap')['data']['config.yaml'])['rules']
    rule = next(r for r in rules if r['name']['matches'] == metric)
    self.assertTrue(rule['seriesQuery'].startswith(metric + '{'))
    self.assertEqual(autoscaler['spec']['scaleTargetRef']['name'], 'ddgan-server')
    # The query as the adapter fills it in, run by Prometheus' own engine on the
    # queues of two pods, one of which has batch work alone, and a stranger.
    query = rule['metricsQuery']
    for placeholder, value in (
        ('<<.Series>>', metric), ('<<.GroupBy>>', 'pod'),
        ('<<.LabelMatchers>>', 'namespace="ddgan",pod=~"a|b"')):
      query = query.replace(placeholder, value)
    self.assertNotIn('<<', query)
    with tempfile.TemporaryDirectory(prefix='ddgan-adapter-') as folder:
      test = pathlib.Path(folder) / 'test.yaml'
      test.write_text(yaml.safe_dump({'rule_files': [], 'tests': [{
          'interval': '15s',
          'input_series': [
              {'series': f'{metric}{{namespace="ddgan",pod="a",class="interactive"}}',
               'values': '0 1 2 3 4 5 6 7 8'},
              {'series': f'{metric}{{namespace="ddgan",pod="b",class="interactive"}}',
               'values': '0x8'},
              {'series': f'{metric}{{namespace="ddgan",pod="b",class="batch"}}', 'values': '9x8'},
              {'series': f'{metric}{{namespace="other",pod="c",class="interactive"}}',
               'values': '9x8'}],
          'promql_expr_test': [{'expr': query, 'eval_time': '2m', 'exp_samples': [
              {'labels': '{pod="a"}', 'value': 4}, {'labels': '{pod="b"}', 'value': 0}]}]}]}))
      result = subprocess.run([options.promtool, 'test', 'rules', test],
                              capture_output=True, text=True, timeout=120)
      self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

  def test_compose_is_consistent(self):
    """compose_test.py has docker-compose read it; here is what that cannot see."""
    services = yaml.safe_load((manifests.DEPLOY / 'compose.yaml').read_text())['services']
    self.assertEqual(set(services), {'server', 'trainer', 'prometheus', 'alertmanager', 'grafana'})
    server = manifests.flags(
        a.replace('${DDGAN_CPUS:-2}', '2') for a in services['server']['command'])
    trainer = manifests.flags(services['trainer']['command'])
    self.assertLessEqual(set(server), manifests.known_flags(options.server))
    self.assertLessEqual(set(trainer), manifests.known_flags(options.trainer))
    for name, service in services.items():
      with self.subTest(name):
        self.assertIs(service['read_only'], True)
        self.assertEqual(service['cap_drop'], ['ALL'])
        self.assertEqual(service['security_opt'], ['no-new-privileges:true'])
        self.assertNotIn(service['user'].split(':')[0], ('0', 'root'))
        self.assertRegex(service['image'], r':(v?\d+\.\d+\.\d+|\$\{DDGAN_VERSION:-\d+\.\d+\.\d+\})$')
        self.assertEqual(set(service['deploy']['resources']['limits']),
                         {'cpus', 'memory', 'pids'})
        self.assertIn('healthcheck', service)
        for entry in service.get('ports', ()):
          self.assertTrue(entry.startswith('127.0.0.1:'), entry)
        for volume in service.get('volumes', ()):
          if volume.startswith('./'):
            self.assertTrue((manifests.DEPLOY / volume.split(':')[0]).exists(), volume)
    self.assertEqual(
        services['server']['ports'],
        [f'127.0.0.1:{p}:{p}' for p in (manifests.port(server[f]) for f in ('listen', 'http'))])
    # Whoever reaches the admin port may pin and roll back: the container alone.
    self.assertRegex(server['admin_listen'], r'^127\.0\.0\.1:')
    self.assertIn(f'--server=127.0.0.1:{manifests.port(server["admin_listen"])}',
                  services['server']['healthcheck']['test'])
    self.assertGreater(
        manifests.seconds(services['server']['stop_grace_period']),
        manifests.seconds(server.get('drain_delay', '0s'))
        + manifests.seconds(server['drain_timeout']) + FLUSH_AND_WATCHDOG_S)
    # Prometheus' targets are these services.
    for job, service, flag in (('server', 'server', server['http']),
                               ('train', 'trainer', trainer['metrics_listen'])):
      targets = yaml.safe_load(
          (manifests.DEPLOY / 'prometheus' / 'targets' / f'{job}.yaml').read_text())
      self.assertEqual(targets[0]['targets'], [f'{service}:{manifests.port(flag)}'])


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--trainer', required=True, help='the ddgan-train binary')
  parser.add_argument('--promtool', required=True)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
