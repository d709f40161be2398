"""Back up the whole stack, and keep the newest backups.

`hearth backup` as a DAG: HEARTH_BACKUP_SCHEDULE says when, and is `none` by default; HEARTH_BACKUP_TO says where to, HEARTH_BACKUP_KEEP how
many stay. docs/backup.md says what is in a backup, and how it is restored.
"""

from airflow.sdk import DAG, task
from pendulum import datetime

from hearth.settings import BackupScheduleSettings
from task_defaults import dag_alerts, reporting, task_defaults

_schedule = BackupScheduleSettings().backup_schedule

with DAG(
    dag_id="hearth_backup",
    description="Back up databases, object store and streams",
    schedule=None if _schedule == "none" else _schedule,
    start_date=datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(minutes=180, retries=1, retry_seconds=60),
    **dag_alerts(""),
    tags=["operations"],
    doc_md=__doc__,
) as dag:

    @task
    @reporting
    def backup() -> str:
        from hearth.backup.create import create_backup, remove_old
        from hearth.backup.places import open_place
        from hearth.settings import BackupSettings

        settings = BackupSettings()
        place = open_place(settings.backup_to, settings)
        manifest = create_backup(place, settings)
        remove_old(place, settings.backup_keep)
        return manifest.id

    backup()
