bash -c {{command}} bash {{args}}
