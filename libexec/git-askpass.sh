#!/bin/sh
# What git runs to be told a name or a token. The prompt names who asks; nobody but the host of the settings is told.
case "$1" in
  "Username for 'https://$JR_GIT_HOST'"* | "Username for 'https://$JR_GIT_HOST/"*) printf '%s\n' "$JR_GIT_USERNAME" ;;
  "Password for 'https://$JR_GIT_USERNAME@$JR_GIT_HOST'"* | "Password for 'https://$JR_GIT_USERNAME@$JR_GIT_HOST/"*)
    head -n 1 -- "$JR_GIT_TOKEN_FILE"
    ;;
  *) exit 1 ;;
esac
