#!/usr/bin/env bash
# A run on Cloud TPU VMs, single hosts or pods: makes one, installs, runs, and again when preempted.
# usage: ./launch/tpu_vm.sh COMMAND --name=NAME --zone=ZONE [options] [-- FLAGS]
#   create   makes the TPU VM, of --accelerator=TYPE, e.g. v5litepod-4, v5litepod-16 or v6e-8
#   setup    copies this checkout's commit to all workers and installs there
#   run      runs --config=CONFIG in --workdir=DIR|gs://BUCKET/DIR; its exit code is the run's
#   train    all of these, again after exit code 75 or when the TPU is gone, until the run has ended
#   delete   deletes the TPU VM
#   --version=VERSION    the TPU's software (default: that of the accelerator)
#   --spot               a TPU that costs less and may be preempted
#   --queued             asks by a queued resource; give it to create, train and delete alike
#   --project=PROJECT    if not gcloud's own
#   --env="NAME=VALUE …" for the run, e.g. TFDS_DATA_DIR=…
#   --attempts=N         of train (default 100), --pause=SECONDS between them (default 30)
#   --dry_run            shows the commands and runs none
# FLAGS go to ebm_jax.main.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/options.sh

name="" zone="" accelerator="" version="" project="" config="" workdir="" env="" attempts=100 pause=30
spot="" queued="" dry_run=""
action=${1:-}
[[ $action =~ ^(create|setup|run|train|delete)$ ]] ||
  fail "the command is '$action'; use create, setup, run, train or delete."
shift
parse_options "name zone accelerator version project config workdir env attempts pause" \
  "spot queued dry_run" "$@"
need name "give the TPU VM a name"
need zone "give the zone of the TPU VM, e.g. us-west4-a"
need_number attempts
[[ $pause =~ ^[0-9]+$ ]] || fail "--pause is '$pause'; use a whole number of seconds."
[[ $name =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] ||
  fail "--name is '$name'; use lower-case letters, digits and dashes, a letter first."
[ -n "$dry_run" ] || command -v gcloud >/dev/null ||
  fail "gcloud is not installed; install the Google Cloud CLI, or see the commands by --dry_run."
if [ "$action" = create ] || [ "$action" = train ]; then
  need accelerator "give the TPU's type, e.g. v5litepod-16"
  case $version$accelerator in
    v6e-*) version=v2-alpha-tpuv6e ;;
    v5p-*) version=v2-alpha-tpuv5 ;;
    v5litepod-*) version=v2-alpha-tpuv5-lite ;;
    v[234]-*) version=tpu-ubuntu2204-base ;;
  esac
  need version "the software of '$accelerator' is not known here; give its TPU runtime version"
fi
if [ "$action" = run ] || [ "$action" = train ]; then
  need config "give an experiment, e.g. configs/digits_joint.py"
  need workdir "give a folder of worker 0, or gs://BUCKET/FOLDER"
  need_config "$config"
fi

where=("--zone=$zone" ${project:+"--project=$project"})
tpus=(gcloud compute tpus)

create() {
  if [ -n "$queued" ]; then
    run "${tpus[@]}" queued-resources create "$name" "--node-id=$name" "${where[@]}" \
      "--accelerator-type=$accelerator" "--runtime-version=$version" ${spot:+--spot} && wait_for_it
  else
    run "${tpus[@]}" tpu-vm create "$name" "${where[@]}" "--accelerator-type=$accelerator" \
      "--version=$version" ${spot:+--spot}
  fi
}

# CREATING, READY, PREEMPTED, … of a TPU VM, ACTIVE, SUSPENDED, … of a queued one, or nothing.
state() {
  if [ -n "$queued" ]; then
    run "${tpus[@]}" queued-resources list "${where[@]}" "--filter=name~/$name\$" \
      "--format=value(state.state)"
  else
    run "${tpus[@]}" tpu-vm list "${where[@]}" "--filter=name~/$name\$" "--format=value(state)"
  fi || fail "the state of '$name' cannot be read; see gcloud's message above."
}

wait_for_it() { # a queued TPU may come after days
  local now
  if [ -n "$dry_run" ]; then
    echo "# until this says ACTIVE: $(state)"
    return
  fi
  while now=$(state); do
    case $now in
      ACTIVE) return ;;
      FAILED | SUSPENDING | SUSPENDED | DELETING | "") return 1 ;;
    esac
    sleep "$pause"
  done
  return 2
}

on_workers() { # COMMAND of a shell, on all workers at once
  run "${tpus[@]}" tpu-vm ssh "$name" "${where[@]}" --worker=all "--command=$1"
}

setup() {
  local bundle=ebm_jax.bundle folder
  [ -n "$dry_run" ] || git diff --quiet HEAD || echo "warning: changes not committed stay here." >&2
  folder=$(mktemp -d)
  run git bundle create --quiet "$folder/$bundle" HEAD &&
    run "${tpus[@]}" tpu-vm scp "$folder/$bundle" "$name:$bundle" "${where[@]}" --worker=all &&
    on_workers "$(printf %s \
      "python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || " \
      "{ sudo apt-get -q -o DPkg::Lock::Timeout=600 update && " \
      "sudo apt-get -qy -o DPkg::Lock::Timeout=600 install python3.11-venv; } && " \
      "{ [ -d ebm_jax ] || git init -q ebm_jax; } && cd ebm_jax && " \
      "git fetch -q ../$bundle HEAD && git checkout -q --force --detach FETCH_HEAD && " \
      "EBM_JAX_ACCELERATOR=tpu bash -c '. launch/setup_env.sh requirements.txt'")"
  local code=$?
  rm -r "$folder"
  return $code
}

run_it() {
  local environment=() worker=(./launch/tpu_worker.sh "--config=$config" "--workdir=$workdir")
  read -ra environment <<<"$env"
  on_workers "cd ebm_jax && $(show ${env:+env "${environment[@]}"} "${worker[@]}" -- "${flags[@]}")"
}

delete() {
  if [ -n "$queued" ]; then
    run "${tpus[@]}" queued-resources delete "$name" "${where[@]}" --force --quiet
  else
    run "${tpus[@]}" tpu-vm delete "$name" "${where[@]}" --quiet
  fi
}

train() {
  local now code attempt had=""
  if [ -n "$dry_run" ]; then
    echo "# where this says nothing (else what is there is used, or deleted when it is gone):"
    state
    create && setup && run_it
    echo "# where that exits with 75, or this says neither READY nor ACTIVE, from the start:"
    state
    delete
    return
  fi
  for ((attempt = 1; attempt <= attempts; attempt++)); do
    now=$(state) || return 2
    code=0
    case $now in
      READY | ACTIVE) ;;
      "") create || code=$? ;;
      CREATING | STARTING | ACCEPTED | PROVISIONING | WAITING_FOR_RESOURCES)
        attempt=$((attempt - 1)) # to wait is no attempt: a queued TPU may come after days
        sleep "$pause"
        continue
        ;;
      *)
        echo "the TPU is $now; it is made anew (attempt $attempt of $attempts)"
        { delete && create; } || code=$?
        ;;
    esac
    if [ "$code" = 0 ]; then
      had=yes
      { setup && run_it; } || code=$?
      [ "$code" != 0 ] || return 0
    elif [ -z "$had" ]; then # wrong options more likely than no TPU to be had
      return "$code"
    fi
    now=$(state) || return 2
    # 255: the connection was lost; the worker stops what it left behind and goes on.
    if [ "$code" != 75 ] && [ "$code" != 255 ] && [[ $now =~ ^(READY|ACTIVE)$ ]]; then
      return "$code"
    fi
    echo "exit code $code, the TPU is ${now:-gone}; again in $pause s (attempt $attempt of $attempts)"
    sleep "$pause"
  done
  echo "error: the run has not ended in $attempts attempts; run the same command again." >&2
  return 75
}

case $action in
  run) run_it ;;
  *) "$action" ;;
esac
