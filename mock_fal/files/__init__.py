"""Files: uploads on disk, access rules, and the files that inputs refer to."""
