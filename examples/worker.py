import sys

import schedy

experiment = schedy.SchedyDB().get_experiment(sys.argv[1])
for job in experiment.jobs():  # waits for jobs, goes on after one that fails
    with job:
        x = job.hyperparameters['x']
        y = job.hyperparameters['y']
        job.results['result'] = x ** 2 + y ** 2
