// Placeholder so that the package resolves; goes with the module's first file.
