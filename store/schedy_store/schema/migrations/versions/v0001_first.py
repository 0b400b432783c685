"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create all tables."""
    _create_experiment()
    _create_job()
    _index_job()
    _create_job_value()
    _create_search_tables()
    _create_event()
    _create_worker()
    _create_service_tables()


def _create_experiment() -> None:
    op.create_table(
        "experiment",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scheduler", sa.String(300), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("job_timeout", sa.Double(), nullable=True),
        sa.Column("stall_timeout", sa.Double(), nullable=True),
        sa.Column("retry_timeouts", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("timed_from", _TIME, nullable=False),
        sa.Column("objectives", sa.Text(), nullable=False),
        sa.Column("prunes", sa.Boolean(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("search_end", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("rewritten", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('RUNNING', 'DONE')", name=op.f("ck_experiment_status")),
        sa.CheckConstraint("max_attempts >= 1", name=op.f("ck_experiment_max_attempts")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_experiment")),
        sa.UniqueConstraint("uid", name=op.f("uq_experiment_uid")),
        sa.UniqueConstraint("name", name=op.f("uq_experiment_name")),
        sqlite_autoincrement=True,
    )


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("experiment_pk", _KEY, nullable=False),
        sa.Column("job_id", sa.String(6), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("quality", sa.Double(), nullable=True),
        sa.Column("hyperparameters", sa.Text(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("initial_quality", sa.Double(), nullable=True),
        sa.Column("initial_results", sa.Text(), nullable=False),
        sa.Column("previous_results", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("heard_at", _TIME, nullable=True),
        sa.Column("reported_at", _TIME, nullable=True),
        sa.Column("timed_from", _TIME, nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("worker_pk", _KEY, nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts_forgiven", sa.Integer(), nullable=False),
        sa.Column("stop", sa.String(16), nullable=True),
        sa.Column("token", sa.String(32), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("lease_until", _TIME, nullable=True),
        sa.Column("dispatched_at", _TIME, nullable=True),
        sa.Column("ticket", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("suggestion", sa.Integer(), nullable=True),
        sa.Column("ended", sa.Integer(), nullable=True),
        sa.Column("parent", sa.String(6), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("search_state", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('QUEUED', 'RUNNING', 'DONE', 'CRASHED', 'PRUNED')", name=op.f("ck_job_status")),
        sa.CheckConstraint("attempt >= attempts_forgiven AND attempts_forgiven >= 0", name=op.f("ck_job_attempt")),
        sa.CheckConstraint("stop IN ('cancelled', 'job_timeout', 'stall_timeout')", name=op.f("ck_job_stop")),
        sa.CheckConstraint(
            "(status = 'RUNNING') = (lease_until IS NOT NULL) AND (status <> 'RUNNING' OR token IS NOT NULL)",
            name=op.f("ck_job_running_under_lease"),
        ),
        sa.CheckConstraint(
            "(status IN ('DONE', 'CRASHED', 'PRUNED')) = (finished_at IS NOT NULL)",
            name=op.f("ck_job_final_when_finished"),
        ),
        sa.CheckConstraint("status <> 'RUNNING' OR attempt >= 1", name=op.f("ck_job_running_attempt")),
        sa.ForeignKeyConstraint(
            ["experiment_pk"], ["experiment.pk"], name=op.f("fk_job_experiment_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_job")),
        sa.UniqueConstraint("experiment_pk", "job_id", name=op.f("uq_job_experiment_pk_job_id")),
        sa.UniqueConstraint("experiment_pk", "suggestion", name=op.f("uq_job_experiment_pk_suggestion")),
        sqlite_autoincrement=True,
    )


def _index_job() -> None:
    op.create_index("ix_job_experiment_pk_status", "job", ["experiment_pk", "status"])
    op.create_index("ix_job_experiment_pk_pk", "job", ["experiment_pk", "pk"])
    op.create_index("ix_job_experiment_pk_ended", "job", ["experiment_pk", "ended"])
    wants_ticket = sa.text("status = 'QUEUED' AND dispatched_at IS NULL")
    op.create_index(
        "ix_job_wants_ticket",
        "job",
        ["experiment_pk", "status", "pk"],
        sqlite_where=wants_ticket,
        postgresql_where=wants_ticket,
    )
    running = sa.text("status = 'RUNNING'")
    op.create_index("ix_job_lease", "job", ["lease_until"], sqlite_where=running, postgresql_where=running)


def _create_job_value() -> None:
    op.create_table(
        "job_value",
        sa.Column("job_pk", _KEY, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("experiment_pk", _KEY, nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.Column("text", sa.String(64), nullable=True),
        sa.CheckConstraint("source IN ('hyperparameter', 'result')", name=op.f("ck_job_value_source")),
        sa.ForeignKeyConstraint(["job_pk"], ["job.pk"], name=op.f("fk_job_value_job_pk"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_pk", "source", "name", name=op.f("pk_job_value")),
    )
    op.create_index("ix_job_value_order", "job_value", ["experiment_pk", "source", "name", "number", "text"])


def _create_search_tables() -> None:
    op.create_table(
        "wanted_job",
        sa.Column("experiment_pk", _KEY, nullable=False),
        sa.Column("suggestion", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_pk"], ["experiment.pk"], name=op.f("fk_wanted_job_experiment_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_pk", "suggestion", name=op.f("pk_wanted_job")),
    )
    op.create_table(
        "curve_point",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("experiment_pk", _KEY, nullable=False),
        sa.Column("job_pk", _KEY, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["job_pk"], ["job.pk"], name=op.f("fk_curve_point_job_pk"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_curve_point")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_curve_point_job_pk", "curve_point", ["job_pk", "attempt", "step"])
    op.create_index("ix_curve_point_experiment_pk", "curve_point", ["experiment_pk", "pk"])


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("experiment_pk", _KEY, nullable=True),
        sa.Column("job_id", sa.String(6), nullable=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("token", sa.String(32), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", _TIME, nullable=True),
        sa.Column("results", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_pk"], ["experiment.pk"], name=op.f("fk_event_experiment_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_event")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_experiment_pk_job_id", "event", ["experiment_pk", "job_id"])
    op.create_index("ix_event_at", "event", ["at"])


def _create_worker() -> None:
    op.create_table(
        "worker",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("heard_at", _TIME, nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("crashed", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('alive', 'unhealthy', 'ended')", name=op.f("ck_worker_state")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_worker")),
        sa.UniqueConstraint("uid", name=op.f("uq_worker_uid")),
        sqlite_autoincrement=True,
    )


def _create_service_tables() -> None:
    op.create_table(
        "applied_change",
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_applied_change")),
    )
    op.create_index("ix_applied_change_at", "applied_change", ["at"])
    op.create_table(
        "service",
        sa.Column("pk", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("active_since", _TIME, nullable=True),
        sa.Column("lease_seconds", sa.Double(), nullable=True),
        sa.Column("broker_id", sa.Text(), nullable=True),
        sa.Column("seen_at", _TIME, nullable=True),
        sa.Column("measured_until", _TIME, nullable=True),
        sa.CheckConstraint("pk = 1", name=op.f("ck_service_one_row")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_service")),
    )
    op.execute("INSERT INTO service (pk, epoch, instance) VALUES (1, 0, '')")
