# On a node of an external cluster, the user and their home are what its administrators made them.
# CUDA_VISIBLE_DEVICES stays as its Slurm set it, and --cuda gets the same numbers.
jr_export_node() {
  # Our own Slurm commands need this variable; the job does not.
  unset SLURM_TIME_FORMAT
  printf -v USER %s "$(/usr/bin/id -un)"
  export USER LOGNAME=$USER JR_CUDA=${CUDA_VISIBLE_DEVICES-}
}

jr_export_home() {
  unset HOME
  export HOME=~
}

# External clusters have no epilog of ours: the script itself tells the API that it ends, and gives
# the API access to its outputs.
jr_tell_end() { # file to touch, folder to open to its group
  jr_ended_file=$1 jr_opened_folder=$2
  trap jr_finish EXIT
}

jr_finish() {
  local status=$?
  # An activated environment may have set either; both tasks here are to be tried.
  set +eu
  [ -z "$jr_opened_folder" ] || /bin/chmod -R u+rwX,g+rwX -- "$jr_opened_folder" 2>/dev/null
  : >"$jr_ended_file"
  exit "$status"
}
