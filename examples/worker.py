import sys

import schedy

experiment = schedy.SchedyDB().get_experiment(sys.argv[1])
try:
    while True:
        with experiment.next_job(timeout=None) as job:  # waits for a job
            x = job.hyperparameters['x']
            y = job.hyperparameters['y']
            job.results['result'] = x ** 2 + y ** 2
except schedy.NoJobError as nothing_left:
    print(nothing_left)
