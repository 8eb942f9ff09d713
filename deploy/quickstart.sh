#!/usr/bin/env bash
# From a clone to pictures: installs what is missing, builds, starts
# ddgan-server on the bundled models, asks each for 64 images, and serves a page
# to make more of them in a browser.
#
# usage: deploy/quickstart.sh [--once]
#   --once   exit after the pictures; otherwise server and page stay up until Ctrl-C
set -euo pipefail
cd "$(dirname "$0")/.."

once=false
case "${1:-}" in
  "") ;;
  --once) once=true ;;
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "quickstart.sh: unknown argument '$1' (try --help)" >&2; exit 2 ;;
esac

docker/install_dependencies.sh
cmake --preset release -DDDGAN_BUILD_TESTS=OFF -B build/quickstart
cmake --build build/quickstart --target ddgan-server ddgan

run=$(mktemp -d)
server=
page=
# shellcheck disable=SC2329  # The trap calls it.
finish() {
  local process
  for process in $page $server; do
    kill -TERM "$process" 2>/dev/null && wait "$process" || true
  done
  rm -rf "$run"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Port 0: free ports, so that a server that is already up is left alone.
build/quickstart/server/ddgan-server --model_root=deploy/models \
  --listen=127.0.0.1:0 --http=127.0.0.1:0 --port_file="$run/ports.json" &
server=$!
for _ in $(seq 600); do
  [ -s "$run/ports.json" ] && break
  kill -0 "$server" 2>/dev/null || { echo "quickstart.sh: the server did not start" >&2; exit 1; }
  sleep 0.1
done
[ -s "$run/ports.json" ] || { echo "quickstart.sh: the server was not ready within 60 s" >&2; exit 1; }
port() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$run/ports.json" "$1"; }
address=127.0.0.1:$(port grpc_port)
http=127.0.0.1:$(port http_port)

for folder in deploy/models/*/; do
  model=$(basename "$folder")
  build/quickstart/client/ddgan generate --server="$address" --model="$model" --count=64 --seed=7 \
    --grid --out="$model.png"
  echo "A picture: $PWD/$model.png"
done
$once && exit 0

build/quickstart/client/ddgan playground --server="$address" >"$run/page" &
page=$!
for _ in $(seq 100); do
  grep -q http "$run/page" && break
  kill -0 "$page" 2>/dev/null || { echo "quickstart.sh: the playground did not start" >&2; exit 1; }
  sleep 0.1
done
url=$(sed -n 's/^ *\(http.*\)/\1/p' "$run/page")

cat <<TEXT

Open this page in a browser of this machine, to make images and to draw what
they start from:

  $url

Page and server are up until Ctrl-C. From another terminal:
  build/quickstart/client/ddgan generate --server=$address --model=$model --count=16 --grid --out=more.png
  build/quickstart/client/ddgan models --server=$address
  curl http://$http/metrics
TEXT
code=0
wait -n "$server" "$page" || code=$?
for process in "the server $server" "the playground $page"; do
  kill -0 "${process##* }" 2>/dev/null || echo "quickstart.sh: ${process% *} has ended (exit code $code)" >&2
done
exit "$code"
