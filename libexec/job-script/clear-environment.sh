# Removes what sudo, PAM and sbatch left in the environment. Slurm's own variables stay.
jr_clear_environment() {
  for jr_name in $(compgen -e); do
    case $jr_name in
      SLURM* | *_VISIBLE_DEVICES | GPU_DEVICE_ORDINAL | ZE_AFFINITY_MASK | TMPDIR | HOSTNAME) ;;
      *) unset "$jr_name" ;;
    esac
  done
  unset jr_name
}
