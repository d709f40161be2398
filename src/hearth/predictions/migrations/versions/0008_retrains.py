"""Decisions about training again, what was trained on, and the records that are never stored or trained on again.

Forgotten records are left out by triggers, so that no process that writes predictions or labels has to know them; `row` -1 is each row of a
message. A statement whose table has no forgotten records pays for one look at an empty table.
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE retrains (
            id         text        PRIMARY KEY,
            dataset    text        NOT NULL,
            trigger    text        NOT NULL,
            state      text        NOT NULL,
            decided_at timestamptz NOT NULL,
            ended_at   timestamptz,
            digest     text,
            version    text,
            why        text        NOT NULL,
            detail     jsonb       NOT NULL DEFAULT '{}'
        )
        """
    )
    op.execute("CREATE INDEX retrains_dataset ON retrains (dataset, decided_at)")
    op.execute("CREATE UNIQUE INDEX retrains_running ON retrains (dataset) WHERE state = 'running'")
    op.execute(
        """
        CREATE TABLE retrain_records (
            message_id text    COLLATE "C" NOT NULL,
            row        integer NOT NULL,
            retrain_id text    NOT NULL REFERENCES retrains ON DELETE CASCADE,
            PRIMARY KEY (message_id, row, retrain_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE forgotten_records (
            message_id   text        COLLATE "C" NOT NULL,
            row          integer     NOT NULL,
            dataset      text        NOT NULL,
            forgotten_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            forgotten_by text        NOT NULL,
            PRIMARY KEY (message_id, row)
        )
        """
    )
    for table in ("predictions", "labels"):
        # The definer may delete where the writer, such as the monitor, may only insert
        op.execute(
            f"""
            CREATE FUNCTION leave_out_forgotten_{table}() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
            BEGIN
                IF EXISTS (SELECT FROM forgotten_records) THEN
                    DELETE FROM {table} USING added, forgotten_records AS forgotten
                    WHERE {table}.message_id = added.message_id AND {table}.row = added.row
                    AND forgotten.message_id = added.message_id AND forgotten.row IN (added.row, -1);
                END IF;
                RETURN NULL;
            END $$
            """  # noqa: S608 - constants
        )
        op.execute(
            f"CREATE TRIGGER leave_out_forgotten AFTER INSERT ON {table} REFERENCING NEW TABLE AS added"
            f" FOR EACH STATEMENT EXECUTE FUNCTION leave_out_forgotten_{table}()"
        )


def downgrade() -> None:
    for table in ("predictions", "labels"):
        op.execute(f"DROP TRIGGER leave_out_forgotten ON {table}")
        op.execute(f"DROP FUNCTION leave_out_forgotten_{table}()")
    for table in ("forgotten_records", "retrain_records", "retrains"):
        op.execute(f"DROP TABLE {table}")
