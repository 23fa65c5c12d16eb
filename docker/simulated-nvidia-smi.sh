#!/bin/sh
# Stands in for nvidia-smi where GPUs are simulated: prints the same CSV for JobRunner's queries. A
# copy lies in the folder of the simulated devices, gpu0 gpu1 …, and reads their state from files
# beside them:
#   gpu0.usage      "memory_used_mb load temperature"; without it, an idle GPU
#   gpu0.processes  one "pid,memory_mb,name" a line
#   gpu0.lost       this GPU is not listed
#   broken          nothing answers
cd "$(dirname "$0")" || exit 1
if [ -e broken ]; then
  echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver." >&2
  exit 9
fi
memory_total=81920
for device in gpu*; do
  case $device in *.*) continue ;; esac
  index=${device#gpu}
  uuid=$(printf 'GPU-00000000-0000-0000-0000-%012d' "$index")
  if [ -e "$device.lost" ]; then
    echo "Unable to determine the device handle for GPU $index: GPU is lost. Reboot the system to recover this GPU"
    continue
  fi
  case $1 in
  --query-gpu=uuid,*)
    used=0 load=0 temperature=30
    [ -e "$device.usage" ] && read -r used load temperature <"$device.usage"
    echo "$uuid, $used, $memory_total, $load, $temperature"
    ;;
  --query-compute-apps=*)
    [ -e "$device.processes" ] || continue
    while IFS=, read -r pid memory name; do
      echo "$uuid, $pid, $memory, $name"
    done <"$device.processes"
    ;;
  *)
    echo "simulated nvidia-smi: cannot answer $1" >&2
    exit 2
    ;;
  esac
done
