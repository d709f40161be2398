"""Where Alembic finds the migrations of the predictions store."""

from alembic.config import Config


def alembic_config() -> Config:
    """Return a configuration without a database: whoever uses it sets `attributes["connection"]`."""
    config = Config()
    config.set_main_option("script_location", "hearth.predictions:migrations")
    return config
