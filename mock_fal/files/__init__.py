"""Files: uploads on disk, storage rules, and the files that an input names."""
