"""Those that Schedy is measured beside: pika alone, Celery, Optuna."""
