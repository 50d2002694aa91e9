// Goes with the first file.
