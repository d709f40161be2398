"""The set of classes of a prediction, and how unlike the train set its record is; null where the version does not know."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE predictions
            ADD COLUMN label_set     text[],
            ADD COLUMN unusual_score real,
            ADD COLUMN is_unusual    boolean
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE predictions DROP COLUMN label_set, DROP COLUMN unusual_score, DROP COLUMN is_unusual")
