script={{params.path}}
if [ ! -f "$script" ] || [ ! -r "$script" ]; then
  echo "the user $(id -un) cannot find or read the script $script on this machine" >&2
  exit 2
fi
{{params.python}} "$script" {{args}}
