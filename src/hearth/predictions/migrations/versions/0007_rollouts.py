"""Rollouts: a version that is tried on a share of the requests of the champion, what happened to it, and what each process counted."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE rollouts (
            id         text             PRIMARY KEY,
            dataset    text             NOT NULL,
            version    text             NOT NULL,
            champion   text             NOT NULL,
            way        text             NOT NULL,
            state      text             NOT NULL,
            share      double precision NOT NULL,
            started_by text             NOT NULL,
            started_at timestamptz      NOT NULL,
            changed_at timestamptz      NOT NULL,
            ended_at   timestamptz,
            reason     text             NOT NULL DEFAULT '',
            detail     jsonb            NOT NULL DEFAULT '{}'
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX rollouts_running ON rollouts (dataset) WHERE ended_at IS NULL")
    op.execute(
        """
        CREATE TABLE rollout_events (
            rollout_id text             NOT NULL REFERENCES rollouts ON DELETE CASCADE,
            at         timestamptz      NOT NULL,
            event      text             NOT NULL,
            share      double precision NOT NULL,
            reason     text             NOT NULL,
            detail     jsonb            NOT NULL DEFAULT '{}',
            PRIMARY KEY (rollout_id, at, event)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE rollout_counts (
            rollout_id text        NOT NULL REFERENCES rollouts ON DELETE CASCADE,
            process    text        NOT NULL,
            version    text        NOT NULL,
            answers    bigint      NOT NULL,
            errors     bigint      NOT NULL,
            latencies  bigint[]    NOT NULL,
            problem    text        NOT NULL DEFAULT '',
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (rollout_id, process, version)
        )
        """
    )


def downgrade() -> None:
    for table in ("rollout_counts", "rollout_events", "rollouts"):
        op.execute(f"DROP TABLE {table}")
