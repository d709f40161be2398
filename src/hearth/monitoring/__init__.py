"""Does what is served still look like what a version was trained on? Statistics, levels and reports. Pure: no server is asked."""
