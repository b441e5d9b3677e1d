# Sourced by the launchers: options, errors that are one sentence, dry runs.
# The sourcing script sets `dry_run` (empty: commands run) and a variable for every option's default.

fail() { # a sentence, and the exit code of bad usage
  echo "error: $1" >&2
  exit 2
}

# parse_options "NAMES" "SWITCHES" ARGUMENT…
# Sets the variable of each --name=value or --name value, and that of a switch to "yes"; what follows
# a lone -- are flags of ebm_jax.main and comes into the array `flags`.
# shellcheck disable=SC2034  # flags is the sourcing script's
parse_options() {
  local _names=" $1 " _switches=" $2 " _name _value
  local _all="${_names% }${_switches% }"
  shift 2
  flags=()
  while [ $# -gt 0 ]; do
    case $1 in
      --)
        shift
        flags=("$@")
        return
        ;;
      --*) _name=${1%%=*} _name=${_name#--} ;;
      *) fail "'$1' is no option; options start with --, and flags of ebm_jax.main follow a lone --." ;;
    esac
    if [[ $_switches == *" $_name "* && $1 != *=* ]]; then
      _value=yes
    elif [[ $_names != *" $_name "* ]]; then
      fail "unknown option '$1'; use one of${_all// / --}, and put flags of \
ebm_jax.main behind a lone --."
    elif [[ $1 == *=* ]]; then
      _value=${1#*=}
    elif [ $# -ge 2 ]; then
      _value=$2
      shift
    else
      fail "--$_name has no value; use --$_name=VALUE."
    fi
    printf -v "$_name" %s "$_value"
    shift
  done
}

# need NAME "what to do": ends with a sentence when that option was not given.
need() {
  [ -n "${!1}" ] || fail "--$1 is missing; $2."
}

need_number() { # NAME: a positive whole number
  [[ ${!1} =~ ^[1-9][0-9]*$ ]] || fail "--$1 is '${!1}'; use a positive whole number."
}

need_config() { # PATH[:variant]
  [ -f "${1%%:*}" ] || fail "the config '${1%%:*}' is not a file; use e.g. configs/digits_joint.py."
}

# show COMMAND…: one line that a shell reads as this command.
show() {
  local word line=""
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word=${word@Q}
    line+="${line:+ }$word"
  done
  printf '%s\n' "$line"
}

# run COMMAND…: runs it, or under --dry_run shows it.
run() {
  if [ -n "$dry_run" ]; then
    show "$@"
  else
    "$@"
  fi
}
