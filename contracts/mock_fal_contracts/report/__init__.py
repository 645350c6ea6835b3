"""What is made of results: lines for a terminal, JUnit XML, JSON, one HTML page, a badge."""
