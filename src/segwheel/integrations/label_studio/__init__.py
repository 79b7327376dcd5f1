"""Label Studio: predictions out for review, corrected masks back in.

server.py    a local server in an environment of its own
client.py    its HTTP interface: tokens, pages, errors
project.py   the project and its labelling page
tasks.py     queue rows as tasks: identity, pictures, predictions
push.py      send each task and prediction exactly once; plan.py is the record of what is under way
journal.py   every revision of every annotation, only ever added to
labels.py    what the journal's revisions mean: the current label of each task
pull.py      server -> journal -> corrections
status.py    what is queued, being corrected, returned, pulled
backend.py   a live model for the labelling page
"""
