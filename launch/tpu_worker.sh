#!/usr/bin/env bash
# On each worker of a TPU VM: starts its process of the run. launch/tpu_vm.sh calls it.
# usage: ./launch/tpu_worker.sh --config=CONFIG --workdir=DIR|gs://BUCKET/DIR [options] [-- FLAGS]
#   --sync_every=SECONDS   between two copies of the run's folder to the bucket (default 300)
# With a gs:// workdir worker 0, which alone writes the run's folder, begins with the bucket's copy of
# it, copies it there now and then, and once more when the run has ended.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/options.sh

config="" workdir="" sync_every=300 dry_run=""
parse_options "config workdir sync_every" "dry_run" "$@"
need config "give an experiment, e.g. configs/digits_joint.py"
need workdir "give a folder, or gs://BUCKET/FOLDER"
need_number sync_every

metadata() {
  curl -sf -H "Metadata-Flavor: Google" \
    "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1" ||
    fail "the TPU's metadata '$1' cannot be read; run this on a TPU VM, by launch/tpu_vm.sh."
}

number=$(metadata agent-worker-number)
endpoints=$(metadata worker-network-endpoints) # host,host,… or name:id:host,…
IFS=, read -ra workers <<<"$endpoints"
if [ "${#workers[@]}" -gt 1 ]; then
  export JAX_COORDINATOR_ADDRESS=${workers[0]##*:}:8476
  export JAX_NUM_PROCESSES=${#workers[@]} JAX_PROCESS_ID=$number
fi

bucket=""
if [[ $workdir == gs://* ]]; then
  [ "$number" != 0 ] || bucket=${workdir%/}
  workdir=runs/${workdir#gs://}
fi
command=(.venv/bin/python -m ebm_jax.main "--config=$config" "--workdir=$workdir" "${flags[@]}")
download=(gcloud storage rsync --recursive "$bucket" "$workdir")
upload=(gcloud storage rsync --recursive --delete-unmatched-destination-objects
  '--exclude=.*orbax-checkpoint-tmp.*|(.*/)?\.lock$' "$workdir" "$bucket")

if [ -n "$dry_run" ]; then
  [ -z "$bucket" ] || show "${download[@]}"
  show env ${JAX_PROCESS_ID:+"JAX_COORDINATOR_ADDRESS=$JAX_COORDINATOR_ADDRESS"} \
    ${JAX_PROCESS_ID:+"JAX_NUM_PROCESSES=$JAX_NUM_PROCESSES" "JAX_PROCESS_ID=$JAX_PROCESS_ID"} \
    "${command[@]}"
  [ -z "$bucket" ] || show "${upload[@]}"
  exit
fi

mkdir -p "$workdir"
if [ -n "$bucket" ]; then
  # Only an answer that nothing is there yet begins a new run: its upload will replace what is there.
  if found=$(gcloud storage ls "$bucket/" 2>&1); then
    "${download[@]}" || fail "copying '$bucket' here failed; see gcloud's message above."
  elif [[ $found != *"matched no objects"* ]]; then
    fail "'$bucket' cannot be read (${found##*$'\n'}); give the TPU's service account access to it."
  fi
fi

pid_file=runs/.tpu_worker.pid # of a run whose connection was lost: it holds the TPU
if [ -f "$pid_file" ] && kill -TERM "$(<"$pid_file")" 2>/dev/null; then
  timeout 300 tail --pid="$(<"$pid_file")" -f /dev/null || kill -KILL "$(<"$pid_file")"
fi

"${command[@]}" &
process=$!
mkdir -p runs
echo "$process" >"$pid_file"
trap 'kill -TERM "$process" 2>/dev/null || true' TERM INT HUP
copied=$SECONDS
while kill -0 "$process" 2>/dev/null; do
  sleep 1 &
  wait $! || true
  if [ -n "$bucket" ] && ((SECONDS - copied >= sync_every)); then
    "${upload[@]}" &
    wait $! || echo "warning: copying to '$bucket' failed; tried again in $sync_every s." >&2
    copied=$SECONDS
  fi
done
code=0
wait "$process" || code=$?
rm -f "$pid_file"
wait # for a copy that a signal came into
if [ -n "$bucket" ] && ! "${upload[@]}"; then
  echo "error: the last copy to '$bucket' failed; what the run has saved since the one before it is" \
    "in '$workdir' of this worker." >&2
  [ "$code" != 0 ] || code=2
fi
exit "$code"
