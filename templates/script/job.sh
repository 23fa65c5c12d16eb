script={{params.path}}
if [ ! -f "$script" ] || [ ! -r "$script" ]; then
  echo "there is no script $script on this machine that the user $(id -un) can read" >&2
  exit 2
fi
{{params.python}} "$script" {{args}}
