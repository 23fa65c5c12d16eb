script={{script}}
if [ -z "$script" ]; then
  if [ -z "$JR_DATASET_DIR" ]; then
    echo 'no script: upload one as "script", or name a dataset that holds one' >&2
    exit 2
  fi
  script=$JR_DATASET_DIR/{{params.script}}
fi
if [ ! -f "$script" ]; then
  echo "the dataset has no script ${script#"$JR_DATASET_DIR"/}; it holds:" >&2
  find "$JR_DATASET_DIR" -maxdepth 2 -printf '  %P\n' | head -n 50 >&2
  exit 2
fi
{{params.python}} "$script" {{args}}
