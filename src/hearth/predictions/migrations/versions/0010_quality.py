"""What labels have shown: checks of quality, and the test of each version with the losses that it has seen, in their order."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE quality_checks (
            dataset    text        NOT NULL,
            checked_at timestamptz NOT NULL,
            version    text        NOT NULL,
            level      text        NOT NULL,
            detail     jsonb       NOT NULL,
            PRIMARY KEY (dataset, checked_at)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE quality_tests (
            id         bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            dataset    text             NOT NULL,
            subject    text             NOT NULL,
            version    text             NOT NULL,
            reference  double precision NOT NULL,
            state      jsonb            NOT NULL,
            started_at timestamptz      NOT NULL,
            counted_at timestamptz,
            alarmed_at timestamptz,
            ended_at   timestamptz
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX quality_tests_running ON quality_tests (dataset, subject) WHERE ended_at IS NULL")
    op.execute(
        """
        CREATE TABLE quality_losses (
            test_id    bigint           NOT NULL REFERENCES quality_tests ON DELETE CASCADE,
            message_id text             COLLATE "C" NOT NULL,
            row        integer          NOT NULL,
            position   bigint           NOT NULL,
            loss       double precision NOT NULL,
            PRIMARY KEY (test_id, message_id, row)
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX quality_losses_position ON quality_losses (test_id, position)")


def downgrade() -> None:
    for table in ("quality_losses", "quality_tests", "quality_checks"):
        op.execute(f"DROP TABLE {table}")
