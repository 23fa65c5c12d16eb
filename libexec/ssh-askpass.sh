#!/bin/sh
# What ssh runs to be told a password: once for each login, with that login's own file. The prompt, which the other side
# may have written, is not looked at.
exec cat -- "$JR_SSH_PASSWORD_FILE"
