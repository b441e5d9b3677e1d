#!/usr/bin/env bash
# Builds the container image, or runs it on this machine's GPUs.
# usage: ./launch/container.sh build [--tag=NAME] [--accelerator=cuda|tpu|cpu] [options]
#        ./launch/container.sh run --config=CONFIG --workdir=DIR [--tag=NAME] [options] [-- FLAGS]
#   --tag=NAME        of the image (default ebm_jax)
#   --accelerator=A   whose JAX it holds, and what `run` gives it (default cuda)
#   --data=DIR        prepared tfds data sets, which `run` mounts read-only as TFDS_DATA_DIR
#   --engine=ENGINE   docker or podman (default: the one that is installed)
#   --dry_run         shows the command and runs nothing
# FLAGS go to ebm_jax.main. The run's folder is DIR, its files are yours.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/options.sh

tag=ebm_jax accelerator=cuda engine="" config="" workdir="" data="" dry_run=""
action=${1:-}
[[ $action =~ ^(build|run)$ ]] || fail "the command is '$action'; use build or run."
shift
parse_options "tag accelerator engine config workdir data" "dry_run" "$@"
[[ $accelerator =~ ^(cuda|tpu|cpu)$ ]] ||
  fail "--accelerator is '$accelerator'; use cuda, tpu or cpu."
for each in docker podman; do
  if [ -z "$engine" ] && command -v "$each" >/dev/null; then engine=$each; fi
done
[ -n "$dry_run" ] || [ -n "$engine" ] || fail "no docker and no podman found; install one of them."
engine=${engine:-docker}
[[ $engine =~ ^(docker|podman)$ ]] || fail "--engine is '$engine'; use docker or podman."

if [ "$action" = build ]; then
  run "$engine" build --file=launch/Containerfile "--build-arg=ACCELERATOR=$accelerator" \
    "--tag=$tag" .
  exit
fi

need config "give an experiment, e.g. configs/digits_joint.py"
need workdir "give a folder for the run"
need_config "$config"
[ -z "$data" ] || [ -d "$data" ] || fail "--data is '$data', which is no folder; name one that is."
workdir=$(realpath -m "$workdir")
cache=${EBM_JAX_CACHE:-$HOME/.cache/ebm_jax}
run mkdir -p "$workdir" "$cache" # else the engine makes them, as root
devices=()
case $engine-$accelerator in
  docker-cuda) devices=(--gpus=all) ;;
  podman-cuda) devices=(--device=nvidia.com/gpu=all) ;;
  *-tpu) devices=(--privileged --network=host) ;;
esac
mounts=("--volume=$workdir:/workdir" "--volume=$cache:/cache" --env=EBM_JAX_CACHE=/cache)
[ -z "$data" ] || mounts+=("--volume=$(realpath "$data"):/data:ro" --env=TFDS_DATA_DIR=/data)
[ "$engine" = docker ] || devices+=(--userns=keep-id)
run "$engine" run --rm "${devices[@]}" --shm-size=1g "--user=$(id -u):$(id -g)" \
  "${mounts[@]}" "$tag" "--config=$config" --workdir=/workdir "${flags[@]}"
