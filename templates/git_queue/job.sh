checkout={{output_dir}}/checkout
results={{params.results}}
export RESULTS_DIR={{output_dir}}/results
# A job that was requeued begins anew.
rm -rf -- "$checkout" "$RESULTS_DIR"
mkdir "$checkout" && tar -xzf {{script}} -C "$checkout" && cd "$checkout" || exit 2
# The results lie outside, where they stay when the checkout goes; what is among them already comes along.
if [ -d "$results" ] && [ ! -L "$results" ]; then
  mv -- "$results" "$RESULTS_DIR"
else
  mkdir -p -- "$RESULTS_DIR" "$(dirname -- "$results")"
fi
ln -sfn -- "$RESULTS_DIR" "$results"
trap 'cd / && rm -rf -- "$checkout"' EXIT
{{params.python}} {{params.script}} {{args}}
