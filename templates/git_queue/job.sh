checkout={{output_dir}}/checkout
results={{params.results}}
export RESULTS_DIR={{output_dir}}/results
# A requeued job starts from scratch.
rm -rf -- "$checkout" "$RESULTS_DIR"
mkdir "$checkout" && tar -xzf {{script}} -C "$checkout" && cd "$checkout" || exit 2
# Results are kept outside the checkout, which is removed; files already in the folder move along.
if [ -d "$results" ] && [ ! -L "$results" ]; then
  mv -- "$results" "$RESULTS_DIR"
else
  mkdir -p -- "$RESULTS_DIR" "$(dirname -- "$results")"
fi
ln -sfn -- "$RESULTS_DIR" "$results"
trap 'cd / && rm -rf -- "$checkout"' EXIT
{{params.python}} {{params.script}} {{args}}
