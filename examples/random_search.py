"""Random search, with the worker of the tutorial; only the name of the experiment is another.

    schedy add MinimizeRandom random --x 'normal(0, 5)' --y 'normal(0, 2)'
    python examples/random_search.py
"""

import schedy
import time

db = schedy.SchedyDB()
experiment = db.get_experiment('MinimizeRandom')
while True:
    try:
        with experiment.next_job() as job:
            x = job.hyperparameters['x']
            y = job.hyperparameters['y']
            result = x ** 2 + y ** 2
            job.results['result'] = result
    except Exception as e:
        print(e)
        time.sleep(60)
