#!/bin/sh
# Gives git a name or a token. The prompt names the host that asks; only the host of the settings
# gets an answer.
case "$1" in
  "Username for 'https://$JR_GIT_HOST'"* | "Username for 'https://$JR_GIT_HOST/"*) printf '%s\n' "$JR_GIT_USERNAME" ;;
  "Password for 'https://$JR_GIT_USERNAME@$JR_GIT_HOST'"* | "Password for 'https://$JR_GIT_USERNAME@$JR_GIT_HOST/"*)
    head -n 1 -- "$JR_GIT_TOKEN_FILE"
    ;;
  *) exit 1 ;;
esac
