import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Lays out a stand-in for conda: the registries that tests may use have neither conda nor
 * micromamba. It answers `shell.bash hook`, `shell.posix activate` and `env list` (micromamba:
 * `shell hook`, `shell activate`) as conda 26 and micromamba 2 do, over real folders. It solves and
 * installs nothing.
 */
export function makeCondaLike(
  root: string,
  tool: 'conda' | 'micromamba',
  environments: readonly string[],
): string {
  const executable = join(root, 'bin', tool);
  for (const prefix of [root, ...environments.map((name) => join(root, 'envs', name))]) {
    mkdirSync(join(prefix, 'bin'), { recursive: true });
    mkdirSync(join(prefix, 'conda-meta'), { recursive: true });
    symlinkSync('/usr/bin/python3', join(prefix, 'bin', 'python'));
  }
  writeFileSync(executable, tool === 'conda' ? condaLike : micromambaLike);
  chmodSync(executable, 0o755);
  return executable;
}

const shared = `#!/bin/bash
self=$(readlink -f "$0") root=$(dirname "$(dirname "$(readlink -f "$0")")")
activate() { # name or path
  case $1 in
    base) prefix=$root ;;
    /*) prefix=\${1%/} ;;
    *) prefix=$root/envs/$1 ;;
  esac
  if [ ! -d "$prefix/conda-meta" ]; then
    printf '\\nEnvironmentNameNotFound: Could not find conda environment: %s\\n\\n' "$1" >&2
    exit 1
  fi
  name=$1
  [ "\${prefix%/*}" != "$root/envs" ] || name=\${prefix##*/}
  printf 'export PATH=%q\\nexport CONDA_PREFIX=%q\\nexport CONDA_DEFAULT_ENV=%q\\n' "$prefix/bin:$PATH" "$prefix" "$name"
}
`;

const condaLike = `${shared}case "$1 $2" in
  'shell.bash hook')
    cat <<HOOK
export CONDA_EXE='$self'
conda() {
  local ask_conda
  case $1 in
    activate) ask_conda="\\$("\\$CONDA_EXE" shell.posix "\\$@")" || return; eval "\\$ask_conda"; hash -r ;;
    *) "\\$CONDA_EXE" "\\$@" ;;
  esac
}
HOOK
    # As with auto_activate_base, which is on unless somebody turns it off.
    echo 'conda activate base'
    ;;
  'shell.posix activate') activate "$3" ;;
  'env list')
    printf '# conda environments:\\n#\\nbase                 * %s\\n' "$root"
    for folder in "$root"/envs/*; do printf '%-20s   %s\\n' "\${folder##*/}" "$folder"; done
    ;;
  *) exit 2 ;;
esac
`.replace('case $1 in\n    activate)', 'case \\$1 in\n    activate)');

const micromambaLike = `${shared}case "$1 $2" in
  'shell hook')
    [ -n "$MAMBA_ROOT_PREFIX" ] || exit 3
    cat <<HOOK
export MAMBA_EXE='$self'
micromamba() {
  local ask_mamba
  ask_mamba="\\$("\\$MAMBA_EXE" shell "\\$@" --shell bash)" || return
  eval "\\$ask_mamba"
}
HOOK
    ;;
  'shell activate') activate "$3" ;;
  'env list')
    printf '  Name  Active  Path\\n'
    for folder in "$MAMBA_ROOT_PREFIX"/envs/*; do printf '  %s  %s\\n' "\${folder##*/}" "$folder"; done
    ;;
  *) exit 2 ;;
esac
`;
