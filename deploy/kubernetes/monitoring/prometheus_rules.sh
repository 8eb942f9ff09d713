#!/usr/bin/env bash
# Prints the rules of deploy/prometheus as PrometheusRule objects, the form in
# which the Prometheus operator takes them:
#
#   deploy/kubernetes/monitoring/prometheus_rules.sh | kubectl apply -f -
#
# usage: prometheus_rules.sh [NAMESPACE]     (default: ddgan)
set -euo pipefail
cd "$(dirname "$0")/../../prometheus"

for file in *alerts.yaml recording_rules.yaml; do
  name=${file%.yaml}
  cat <<TEXT
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ddgan-${name//_/-}
  namespace: ${1:-ddgan}
  labels:
    app.kubernetes.io/part-of: ddgan
spec:
TEXT
  sed 's/^/  /' "$file"
done
