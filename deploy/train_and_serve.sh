#!/usr/bin/env bash
# A model that gets better while it serves: installs what is missing, builds,
# starts ddgan-train on MNIST and ddgan-server beside it, and asks the server for
# the same images (seed 7) each time that a new version is live. The pictures are
# on a page that keeps itself up to date: gray becomes strokes within three
# minutes, and strokes digits within an hour or two.
#
# usage: deploy/train_and_serve.sh --data=DIR [--out=DIR] [--versions=N]
#                                  [--build=DIR] [-- TRAINER_FLAG...]
#   --data=DIR      MNIST's four files (train-images-idx3-ubyte and so on),
#                   gzipped or not
#   --out=DIR       page, pictures, models and the trainer's log (default
#                   learning); what an earlier run left there is trained on
#   --versions=N    stop when N versions have been live; by default Ctrl-C does
#   --build=DIR     folder of programs that are built; nothing is installed
#   TRAINER_FLAG    flags of ddgan-train, as --batch_size=64
set -euo pipefail

wrong_usage() { echo "train_and_serve.sh: $* (try --help)" >&2; exit 2; }
say() { echo "train_and_serve.sh: $*"; }

data=
out=learning
versions=0
build=
while [ $# -gt 0 ]; do
  case "$1" in
    --data=?*) data=$(realpath -m "${1#*=}") ;;
    --out=?*) out=${1#*=} ;;
    --versions=*)
      versions=${1#*=}
      [[ $versions =~ ^[1-9][0-9]{0,8}$ ]] || wrong_usage "$1 is not a number from 1 on" ;;
    --build=?*) build=$(realpath -m "${1#*=}") ;;
    -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --) shift; break ;;
    *) wrong_usage "unknown argument '$1'" ;;
  esac
  shift
done
[ -n "$data" ] || wrong_usage '--data=DIR is missing'
out=$(realpath -m "$out")
cd "$(dirname "$0")/.."

if [ -z "$build" ]; then
  build=build/quickstart
  docker/install_dependencies.sh
  cmake --preset release -DDDGAN_BUILD_TESTS=OFF -B "$build"
  cmake --build "$build" --target ddgan-server ddgan ddgan-train
fi

mkdir -p "$out/models" "$out/pictures"
rm -f "$out/ports.json"
server=
trainer=
finish() {
  local process
  for process in $trainer $server; do
    kill -TERM "$process" 2>/dev/null && wait "$process" || true
  done
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A version every 100 steps: one or two a minute. The average of the weights
# forgets faster than in a long run, or the first versions would still be mostly
# the weights that it began with. The trainer leaves one processor to the server.
cores=$(nproc)
"$build/trainer/ddgan-train" --config=mnist --data="$data" --out="$out/models" \
  --ema_decay=0.99 --publish_every=100 --keep_published=20 --threads=$((cores > 1 ? cores - 1 : 1)) \
  --progress=lines "$@" >>"$out/trainer.log" 2>&1 &
trainer=$!
# The canary would take strokes for a fault: a young model changes much from one
# version to the next.
"$build/server/ddgan-server" --model_root="$out/models" --devices=cpu:1 --cpu_threads=1 \
  --listen=127.0.0.1:0 --http=127.0.0.1:0 --port_file="$out/ports.json" --poll_interval=1s \
  --canary_max_mean_shift=2 --canary_max_deviation_ratio=inf --log_level=warn --access_log=none &
server=$!

# page: the newest version large, then each before it.
page() {
  local newest=true version
  cat <<'HTML'
<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<title>A model that gets better while it serves</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  div { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem }
  figure { margin: 0 }
  figure:first-child { grid-column: span 2; grid-row: span 2 }
  img { image-rendering: pixelated; width: 100%; display: block }
</style>
<h1>A model that gets better while it serves</h1>
<p>The same 16 images (seed 7) of each version, as the server gave them to its callers while
ddgan-train went on. The newest comes first, twice as large.</p>
<div>
HTML
  for version in $(find "$out/pictures" -name '*.png' -printf '%f\n' | sort -rn); do
    printf '<figure><img src="pictures/%s" alt="16 images"><figcaption>%sAfter %s training steps</figcaption></figure>\n' \
      "$version" "$($newest && echo 'Live now. ' || true)" "${version%.png}"
    newest=false
  done
  echo '</div>'
}

port() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["grpc_port"])' "$out/ports.json"; }
address=
shown=0
failures=0
complete=  # When the training was.
say "the first version takes about a minute; the trainer's log is $out/trainer.log"
while :; do
  kill -0 "$server" 2>/dev/null || { say 'the server ended' >&2; exit 1; }
  if [ -z "$complete" ] && ! kill -0 "$trainer" 2>/dev/null; then
    if wait "$trainer"; then
      complete=$SECONDS
    else
      say "the training ended; the last lines of $out/trainer.log are" >&2
      tail -n 3 "$out/trainer.log" >&2
      exit 1
    fi
  fi
  if [ -z "$address" ] && [ -s "$out/ports.json" ]; then address=127.0.0.1:$(port); fi
  # Asks only when there is something new on disk; until it is live, the server
  # answers with the version before.
  newest=$(find "$out/models" -ignore_readdir_race -mindepth 2 -maxdepth 2 -regex '.*/mnist/[0-9]+' -printf '%f\n' | sort -n | tail -n 1)
  if [ -n "$address" ] && [ "${newest:-0}" -gt "$shown" ]; then
    if said=$("$build/client/ddgan" generate --server="$address" --model=mnist --count=16 \
      --seed=7 --grid --out="$out/picture.png" 2>&1); then
      live=$(sed -n 's/.*--version=\([0-9]*\).*/\1/p' <<<"$said" | head -n 1)
      if [ "${live:-0}" -gt "$shown" ]; then
        mv "$out/picture.png" "$out/pictures/$live.png"
        page >"$out/index.html"
        [ "$shown" != 0 ] || echo "The page: file://$out/index.html"
        shown=$live
        count=$((${count:-0} + 1))
        echo "Version $live is live: $out/pictures/$live.png"
        [ "$count" != "$versions" ] || exit 0
      fi
      failures=0
    elif failures=$((failures + 1)) && [ "$failures" = 10 ]; then
      # Once, or twice before the first version is live, says nothing.
      say "the server gives no images: $said" >&2
    fi
  fi
  if [ -n "$complete" ]; then
    [ "${newest:-0}" -gt "$shown" ] || { say 'the training is complete'; exit 0; }
    [ $((SECONDS - complete)) -lt 60 ] || { say "version $newest was not live within a minute" >&2; exit 1; }
  fi
  sleep 1
done
