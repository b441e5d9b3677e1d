# Sourced by the launch scripts: makes .venv from the pinned requirements, once per change of them.
# usage: source launch/setup_env.sh REQUIREMENTS_FILE
# EBM_JAX_ACCELERATOR=cpu|cuda|tpu chooses jax's plugin (default cpu); PYTHON names an interpreter.

requirements=$1
accelerator=${EBM_JAX_ACCELERATOR:-cpu}
case $accelerator in
  cpu) jax_extra="" ;;
  cuda) jax_extra="[cuda12]" ;;
  tpu) jax_extra="[tpu]" ;;
  *)
    echo "error: EBM_JAX_ACCELERATOR is '$accelerator'; use cpu, cuda or tpu." >&2
    exit 2
    ;;
esac

# Without ensurepip, as Debian's Python without python3-venv is, no venv can be made.
is_new_enough() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

interpreter=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
  if is_new_enough "$candidate"; then
    interpreter=$candidate
    break
  fi
done
if [ -z "$interpreter" ]; then
  echo "error: no Python >= 3.11 with venv and ensurepip found; install one (on Debian and Ubuntu" \
    "python3-venv too) or set PYTHON=/its/path." >&2
  exit 2
fi

stamp=$(cat requirements*.txt; echo "$requirements $accelerator"; "$interpreter" --version)
stamp_file=.venv/stamp-$requirements-$accelerator
if [ ! -x .venv/bin/python ] || [ "$(cat "$stamp_file" 2>/dev/null)" != "$stamp" ]; then
  echo "setting up .venv ($accelerator) from $requirements …"
  "$interpreter" -m venv .venv
  jax_pin=$(sed -n 's/^jax==//p' requirements.txt)
  if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -r "$requirements" "jax$jax_extra==$jax_pin"; then
    echo "error: installing $requirements failed; see pip's message above." >&2
    exit 2
  fi
  printf '%s\n' "$stamp" >"$stamp_file"
fi
# Scripts and notebooks elsewhere find ebm_jax and configs (this whole folder) in this environment.
for site in .venv/lib/python*/site-packages; do
  if [ -w "$site" ] && [ "$(cat "$site/ebm_jax.pth" 2>/dev/null)" != "$PWD" ]; then
    pwd >"$site/ebm_jax.pth"
  fi
done
