#!/usr/bin/env bash
# Runs shellcheck over every shell file.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
mapfile -t files < <(find . \( -name node_modules -o -name dist -o -name .git \) -prune -o -type f \( -name '*.sh' -o -path ./.ci/run \) -print)
cp --parents .shellcheckrc "${files[@]}" "$copies"
cd "$copies"
# A placeholder of a template stands for one word.
sed -i 's/{{[a-z_.]*}}/placeholder/g' "${files[@]}"
# submit-remote.sh puts this before and behind it.
sed -i -e '1i jr_job=1 jr_user=runner' -e '$a JR_SCRIPT' slurm/any-job.sh
# What has no shebang is made part of a job's script, which bash runs.
mapfile -t with < <(grep -l '^#!' "${files[@]}")
mapfile -t without < <(grep -L '^#!' "${files[@]}")
shellcheck -- "${with[@]}"
shellcheck --shell=bash -- "${without[@]}"
