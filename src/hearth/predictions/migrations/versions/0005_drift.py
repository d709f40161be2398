"""Checks for drift, the levels of their columns, how each version answers on its test set, and how many records were refused."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE drift_checks (
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
        CREATE TABLE drift_columns (
            dataset    text             NOT NULL,
            checked_at timestamptz      NOT NULL,
            name       text             NOT NULL,
            role       text             NOT NULL,
            level      text             NOT NULL,
            psi        double precision NOT NULL,
            p_value    double precision NOT NULL,
            PRIMARY KEY (dataset, checked_at, name),
            FOREIGN KEY (dataset, checked_at) REFERENCES drift_checks ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE version_outputs (
            dataset text  NOT NULL,
            run_id  text  NOT NULL,
            version text  NOT NULL,
            outputs jsonb NOT NULL,
            PRIMARY KEY (dataset, run_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE refused_records (
            dataset text        NOT NULL,
            at      timestamptz NOT NULL,
            records bigint      NOT NULL,
            PRIMARY KEY (dataset, at)
        )
        """
    )


def downgrade() -> None:
    for table in ("refused_records", "version_outputs", "drift_columns", "drift_checks"):
        op.execute(f"DROP TABLE {table}")
