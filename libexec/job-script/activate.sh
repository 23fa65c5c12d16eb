# Activates the job's conda_env or venv. Nothing here reads standard input. Where an environment is
# missing, the job ends with exit code 2, and the last line on standard error names it.

# CONDA_EXE, MAMBA_EXE and PATH come first, since the user chose them.
jr_find_conda() {
  local name places=() folder
  for name in CONDA_EXE MAMBA_EXE; do
    [ -z "${!name}" ] && continue
    [ -f "${!name}" ] && [ -x "${!name}" ] ||
      jr_fail "conda_env: $name is ${!name}, which is no program that the user $(id -un) can run"
    jr_conda=${!name}
    return
  done
  for name in conda mamba micromamba; do jr_conda=$(type -P "$name") && return; done
  for folder in /opt "$HOME" /home/runner; do
    places+=("$folder"/{conda,miniconda3,miniforge3,mambaforge,anaconda3,micromamba}/bin/{conda,mamba,micromamba})
  done
  places+=("$HOME"/.local/bin/micromamba)
  for jr_conda in "${places[@]}"; do [ -f "$jr_conda" ] && [ -x "$jr_conda" ] && return; done
  jr_fail "conda_env: no conda, mamba or micromamba found by CONDA_EXE, by MAMBA_EXE, in PATH ($PATH), or as bin/* in conda, miniconda3, miniforge3, mambaforge, anaconda3, micromamba of /opt, $HOME, /home/runner; set CONDA_EXE in the job's env"
}

# Prints the tool's own function that activates.
jr_conda_hook() {
  case $jr_tool in
    conda) "$jr_conda" shell.bash hook ;;
    *) "$jr_conda" shell hook --shell bash ;;
  esac </dev/null
}

jr_activate_conda() { # name, or absolute path
  local jr_conda jr_tool=conda jr_hook jr_there folder
  jr_find_conda
  case ${jr_conda##*/} in
    *micromamba*) jr_tool=micromamba ;;
    # mamba 1 leaves activation to the conda beside it.
    mamba*) if [ -x "${jr_conda%/*}/conda" ]; then jr_conda=${jr_conda%/*}/conda; else jr_tool=mamba; fi ;;
  esac
  if [ "$jr_tool" != conda ] && [ -z "$MAMBA_ROOT_PREFIX" ]; then
    for folder in "${jr_conda%/bin/*}" "$HOME"/micromamba "$HOME"/.local/share/mamba /opt/conda; do
      [ -d "$folder/envs" ] && export MAMBA_ROOT_PREFIX=$folder && break
    done
  fi
  jr_hook=$(jr_conda_hook) || jr_fail "conda_env: $jr_conda does not work: see above"
  eval "$jr_hook"
  # The tool's own message comes first, if there is one.
  if ! "$jr_tool" activate "$1" </dev/null || [ ! -d "$CONDA_PREFIX" ] ||
    ! { [ "$CONDA_DEFAULT_ENV" = "$1" ] || [ "$CONDA_PREFIX" -ef "$1" ]; }; then
    jr_there=$("$jr_conda" env list </dev/null 2>/dev/null | awk 'NF > 1 && $NF ~ /^\// { printf "%s%s", sep, $1; sep = ", " }')
    jr_fail "conda_env: there is no environment $1 for $jr_conda; it lists ${jr_there:-none}"
  fi
}

jr_activate_venv() { # absolute path
  [ -f "$1/bin/activate" ] && [ -r "$1/bin/activate" ] ||
    jr_fail "venv: there is no $1/bin/activate that the user $(id -un) can read; make one with: python3 -m venv $1"
  # shellcheck source=/dev/null
  . "$1/bin/activate" || jr_fail "venv: $1/bin/activate failed: see above"
  [ -x "$VIRTUAL_ENV/bin/python" ] ||
    jr_fail "venv: there is no usable $VIRTUAL_ENV/bin/python, which $1/bin/activate names; make the environment anew"
}
