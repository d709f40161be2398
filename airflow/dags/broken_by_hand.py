import nothing_such
from airflow.sdk import DAG
