{{params.python}} {{script}} {{args}}
