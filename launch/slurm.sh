#!/usr/bin/env bash
# Submits a run to Slurm: one on many nodes, or an array of runs, one per seed or config.
# usage: ./launch/slurm.sh --workdir=DIR --config=CONFIG [--seeds=0,1,2]   [options] [-- FLAGS]
#        ./launch/slurm.sh --workdir=DIR --configs=A,B,C                   [options] [-- FLAGS]
#   --nodes=N            nodes of each run, one process on each (default 1)
#   --gpus_per_node=N    all of them are used by the node's process (default 0)
#   --sbatch="OPTIONS"   further options of sbatch, e.g. "--time=12:00:00 --partition=gpu"
#   --dry_run            shows the commands and submits nothing
# FLAGS go to ebm_jax.main. An array's runs are in DIR/seed_0, … or DIR/<config's name>, …
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/options.sh

config="" configs="" seeds="" workdir="" nodes=1 gpus_per_node=0 sbatch="" dry_run=""
parse_options "config configs seeds workdir nodes gpus_per_node sbatch" "dry_run" "$@"
need workdir "give a folder that all nodes see"
need_number nodes
[[ $gpus_per_node =~ ^[0-9]+$ ]] || fail "--gpus_per_node is '$gpus_per_node'; use 0 or more."

if [ -n "$configs" ]; then
  [ -z "$config$seeds" ] || fail "--configs excludes --config and --seeds; give one run's or many's."
  job=("--configs=$configs")
  IFS=, read -ra every <<<"$configs"
  array=$(seq -s, 0 $((${#every[@]} - 1)))
else
  need config "give an experiment, e.g. configs/digits_joint.py"
  job=("--config=$config")
  every=("$config")
  array=$seeds
fi
for each in "${every[@]}"; do need_config "$each"; done
[[ $array =~ ^([0-9]+(,[0-9]+)*)?$ ]] || fail "--seeds is '$seeds'; use numbers, e.g. 0,1,2."
job+=("--workdir=$workdir" -- "${flags[@]}")

options=("--nodes=$nodes")
[ "$gpus_per_node" = 0 ] || options+=("--gpus-per-node=$gpus_per_node")
[ -z "$array" ] || options+=("--array=$array")
read -ra more <<<"$sbatch"
run sbatch "${options[@]}" "${more[@]}" launch/slurm.sbatch "${job[@]}"
if [ -n "$dry_run" ]; then # what each of its jobs will do
  for id in ${array//,/ }; do
    SLURM_ARRAY_TASK_ID=$id SLURM_GPUS_ON_NODE=$gpus_per_node launch/slurm.sbatch --dry_run "${job[@]}"
  done
  [ -n "$array" ] || SLURM_GPUS_ON_NODE=$gpus_per_node launch/slurm.sbatch --dry_run "${job[@]}"
fi
