# The GPUs of the node, by their position in gres.conf. The script sets these, and a worker's
# node.sh sets them anew.
declare -A jr_uuids=() jr_memory=()
jr_devices=() jr_all=

# Sets CUDA_VISIBLE_DEVICES. Slurm reports the GPUs' positions in gres.conf. In a container with
# only some of the machine's GPUs, CUDA counts differently, but it knows a UUID everywhere. A job
# without GPUs sees none, even if no cgroup hides them. A job that shares a GPU gets its share of
# the GPU and of its memory in variables.
jr_export_gpus() { # shards of a whole GPU, "cuda" where the job's arguments name its GPUs
  # Slurm counts the shards of all GPUs together: several GPUs are always whole.
  local jr_gpu jr_share jr_shards=${SLURM_SHARDS_ON_NODE:-$1}
  ((jr_shards < $1)) || jr_shards=$1
  CUDA_VISIBLE_DEVICES=
  for jr_gpu in ${SLURM_JOB_GPUS//,/ }; do
    CUDA_VISIBLE_DEVICES+=${CUDA_VISIBLE_DEVICES:+,}${jr_uuids[$jr_gpu]:-$jr_gpu}
    printf -v JR_GPU_FRACTION '%d.%06d' $((jr_shards / $1)) $((jr_shards % $1 * 1000000 / $1))
    # Of whole GPUs of different sizes, the smallest counts.
    jr_share=$((jr_memory[$jr_gpu] * jr_shards / $1))
    ((JR_GPU_MEM_MB > 0 && JR_GPU_MEM_MB < jr_share)) || JR_GPU_MEM_MB=$jr_share
  done
  [ -z "$JR_GPU_FRACTION" ] || export JR_GPU_FRACTION JR_GPU_MEM_MB
  [ "$2" != cuda ] || jr_export_cuda_numbers
  export CUDA_VISIBLE_DEVICES
  unset jr_uuids jr_memory jr_devices jr_all
}

# Sets JR_CUDA, which stands for the value of --cuda: the GPUs' indices. All GPUs are made visible
# in that order, so that `cuda:3` and CUDA_VISIBLE_DEVICES=3 both mean GPU 3. Where a cgroup closes
# the other GPUs (open(2) fails with EPERM), CUDA counts the job's own from 0, whatever is visible.
# See docs/decisions/cuda-argument.md.
jr_export_cuda_numbers() {
  local jr_device jr_others jr_gpu jr_closed=no
  for jr_device in "${jr_devices[@]}"; do
    case $(LC_ALL=C; { true <"$jr_device"; } 2>&1) in *"not permitted"*) jr_closed=yes ;; esac
  done
  if [ "$jr_closed" = yes ]; then
    JR_CUDA=0
    jr_others=${SLURM_JOB_GPUS//[!,]/}
    for ((jr_gpu = 1; jr_gpu <= ${#jr_others}; jr_gpu++)); do JR_CUDA+=,$jr_gpu; done
  else
    JR_CUDA=$SLURM_JOB_GPUS
    CUDA_VISIBLE_DEVICES=$jr_all
  fi
  # CUDA then counts like nvidia-smi, not the fastest first.
  export JR_CUDA CUDA_DEVICE_ORDER=PCI_BUS_ID
}
