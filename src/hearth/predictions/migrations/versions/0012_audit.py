"""The audit trail: rows are added, and never changed or removed by whoever adds them."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE audit (
            id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            key        uuid        NOT NULL UNIQUE,
            at         timestamptz NOT NULL,
            action     text        NOT NULL,
            result     text        NOT NULL CHECK (result IN ('done', 'refused', 'failed')),
            actor_kind text        NOT NULL,
            actor      text        NOT NULL,
            door       text        NOT NULL,
            address    text        NOT NULL,
            dataset    text        NOT NULL DEFAULT '',
            alias      text        NOT NULL DEFAULT '',
            version    text        NOT NULL DEFAULT '',
            subject    text        NOT NULL DEFAULT '',
            detail     jsonb       NOT NULL DEFAULT '{}',
            trace_id   text        NOT NULL DEFAULT '',
            request_id text        NOT NULL DEFAULT ''
        )
        """
    )
    for column in ("action", "actor", "dataset"):
        op.execute(f"CREATE INDEX audit_{column} ON audit ({column}, id)")
    op.execute("CREATE INDEX audit_at ON audit (at)")
    # It holds for the owner too. An administrator, a superuser, can leave triggers out for a session: docs/audit.md
    op.execute(
        """
        CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the table audit is append-only: % is refused', TG_OP
                USING ERRCODE = 'insufficient_privilege', HINT = 'docs/audit.md says how an administrator removes old rows';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE audit")
    op.execute("DROP FUNCTION refuse_change_of_audit()")
