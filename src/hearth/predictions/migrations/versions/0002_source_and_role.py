"""Predictions come from every protocol, and a challenger's stands beside the answer."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE predictions
            ADD COLUMN source text NOT NULL DEFAULT 'stream',
            ADD COLUMN role   text NOT NULL DEFAULT 'answer',
            DROP CONSTRAINT predictions_pkey,
            ALTER COLUMN message_id TYPE text COLLATE "C",
            ADD PRIMARY KEY (message_id, row, role)
        """
    )


def downgrade() -> None:
    op.execute("DELETE FROM predictions WHERE role <> 'answer'")
    op.execute(
        """
        ALTER TABLE predictions
            DROP CONSTRAINT predictions_pkey,
            DROP COLUMN source,
            DROP COLUMN role,
            ALTER COLUMN message_id TYPE text,
            ADD PRIMARY KEY (message_id, row)
        """
    )
