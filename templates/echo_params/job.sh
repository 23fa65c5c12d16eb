echo "params: "{{params}}
printf 'args: %s\n' {{args}}
echo "user: $(id -un), folder: $PWD, host: $(hostname)"
echo "dataset: ${JR_DATASET_DIR:-none}"
echo "GPUs: ${CUDA_VISIBLE_DEVICES:-none}"
printf '%s\n' {{params}} >params.json
