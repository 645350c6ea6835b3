"""Reports of results: terminal output, JUnit XML, JSON, an HTML page, a badge; and the baseline of known failures."""
